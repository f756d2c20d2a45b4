"""Objective of the autoregressive WaveNet: the likelihood of each sample given its past."""

from typing import Literal

from vocoder.data.segments import Batch
from vocoder.dsp.companding import mu_law_encode, uniform_decode, uniform_encode
from vocoder.losses.likelihood import categorical_nll, gaussian_nll, logistic_mixture_nll
from vocoder.models.wavenet import WaveNet
from vocoder.training.objectives.base import Objective, ObjectiveConfig, StepOutput

LEVELS = 65536
"""Number of amplitude levels of the mixture of logistics: 16 bits."""


class LikelihoodConfig(ObjectiveConfig):
    """Negative log-likelihood without options; the model's output determines its form."""

    objective: Literal["likelihood"] = "likelihood"


class LikelihoodObjective(Objective):
    """Mean of ``-ln p(x[t] | x[<t], mel)``, in nats per sample.

    "mulaw" scores the classes of the waveform. "mol" scores its nearest 16-bit levels, which are
    also the model's past. "gaussian" scores the exact amplitudes by a density whose scale has a
    floor, to avoid collapse in digital silence.
    """

    model: WaveNet

    def forward(self, batch: Batch) -> StepOutput:
        """Loss ``likelihood`` of one batch."""
        waveform, config = batch.waveform, self.model.config
        if config.output == "mol":
            waveform = uniform_decode(uniform_encode(waveform, LEVELS), LEVELS, waveform.dtype)
        parameters = self.model.predict(waveform, batch.mel)
        if config.output == "mulaw":
            losses = categorical_nll(parameters, mu_law_encode(waveform, config.classes))
        elif config.output == "mol":
            losses = logistic_mixture_nll(parameters, waveform, LEVELS, config.log_scale_floor)
        else:
            losses = gaussian_nll(parameters, waveform, config.log_scale_floor)
        return StepOutput({"likelihood": losses.mean()})
