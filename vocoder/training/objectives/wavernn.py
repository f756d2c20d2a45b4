"""Objective of the WaveRNNs: the likelihood of each sample given the previous ones."""

from typing import Literal

from vocoder.data.segments import Batch
from vocoder.dsp.companding import mu_law_encode, uniform_decode, uniform_encode
from vocoder.losses.likelihood import categorical_nll, logistic_mixture_nll
from vocoder.models.wavernn import WaveRNN
from vocoder.models.wavernn_dual import LEVELS, DualWaveRNN
from vocoder.training.objectives.base import Objective, ObjectiveConfig, StepOutput


class WaveRNNLossConfig(ObjectiveConfig):
    """No options: the model's output determines the likelihood."""

    objective: Literal["wavernn"] = "wavernn"


class WaveRNNObjective(Objective):
    """Negative log-likelihood in nats per sample: of μ-law levels, of 16-bit amplitudes under a
    mixture of logistics, or of both bytes of 16-bit samples, depending on the model."""

    model: WaveRNN | DualWaveRNN

    def forward(self, batch: Batch) -> StepOutput:
        model, waveform = self.model, batch.waveform
        predicted = model.predict(waveform, batch.mel).float()
        if isinstance(model, DualWaveRNN):
            nll = categorical_nll(predicted, model.split(waveform))
            coarse, fine = nll.mean(dim=(0, 1))
            return StepOutput({"coarse": coarse, "fine": fine})
        if model.config.output == "mulaw":
            nll = categorical_nll(predicted, mu_law_encode(waveform, model.config.levels))
        else:
            on_grid = uniform_decode(uniform_encode(waveform, LEVELS), LEVELS, predicted.dtype)
            nll = logistic_mixture_nll(predicted, on_grid, LEVELS)
        return StepOutput({"negative_log_likelihood": nll.mean()})
