"""Objective of Parallel WaveNet's student: divergence from the teacher, and power loss."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vocoder.data.segments import Batch
from vocoder.errors import RecipeError
from vocoder.losses.likelihood import logistic_mixture_density_nll, regularised_gaussian_kl
from vocoder.losses.power import magnitude_loss
from vocoder.losses.spectral import WindowLength
from vocoder.models.parallel_wavenet import ParallelWaveNet, Student
from vocoder.models.wavenet import WaveNet
from vocoder.training.objectives.base import Objective, ObjectiveConfig, StepOutput, Streams

NOISE, TRIALS = 1, 2
"""Streams of random numbers within a step."""

TEACHER_OUTPUTS = {"gaussian": "gaussian", "logistic": "mol"}
"""Required output type of the teacher, by the student's noise."""


class DistillationConfig(ObjectiveConfig):
    """The teacher and the weights of the losses.

    ``teacher``: run or checkpoint of a trained WaveNet. ``regularisation``: λ of the scale term in
    the Gaussian divergence, whose scales are bounded by ``log_scale_floor``. ``trials``: samples of
    x[t] per context in the cross-entropy of the logistic divergence. ``power_weight``: weight of
    the loss on short-time magnitudes with windows of ``n_ffts`` samples.
    """

    windows_key: ClassVar[str] = "loss.n_ffts"

    objective: Literal["distillation"] = "distillation"
    teacher: str
    regularisation: float = Field(4.0, ge=0)
    log_scale_floor: float = Field(-7.0, lt=0)
    trials: int = Field(4, ge=1)
    power_weight: float = Field(1.0, ge=0)
    n_ffts: tuple[WindowLength, ...] = Field((2048, 1024, 512), min_length=1)

    @property
    def longest_window(self) -> int:
        return max(self.n_ffts)


class DistillationObjective(Objective):
    """Divergence of the student from the teacher on the student's own samples, in nats per sample,
    and the magnitude loss against the recording.

    "gaussian": the closed form of ClariNet (arXiv 1807.07281). "logistic": cross-entropy less
    entropy, ``H(P_S, P_T) - H(P_S)``, of Parallel WaveNet (arXiv 1711.10433): the entropy is
    ``E ln s + 2``, the cross-entropy with the density of the teacher's mixture is averaged over
    ``trials`` samples of each x[t].

    Gradients flow through the teacher's input, but not into its weights. The teacher is a part of
    the objective, not of the student.
    """

    gives_waveforms = True
    model: ParallelWaveNet
    config: DistillationConfig

    def __init__(
        self, model: ParallelWaveNet, config: DistillationConfig, teacher: WaveNet
    ) -> None:
        super().__init__(model, config)
        if not isinstance(teacher, WaveNet):
            raise RecipeError(
                f"loss.teacher: {config.teacher} is a {type(teacher).__name__}; train a WaveNet "
                "first"
            )
        wanted, given = TEACHER_OUTPUTS[model.config.base], teacher.config.output
        if wanted != given:
            raise RecipeError(
                f"loss.teacher: a student with model.base {model.config.base} needs a WaveNet with "
                f"output {wanted}, {config.teacher} has {given}"
            )
        if teacher.spec != model.spec:
            differences = "; ".join(model.spec.describe_difference(teacher.spec))
            raise RecipeError(
                f"loss.teacher: {config.teacher} was trained on mel {teacher.spec.fingerprint}, "
                f"the recipe has {model.spec.fingerprint} ({differences}); set the recipe's mel to "
                "the teacher's"
            )
        if teacher.context > model.context:
            raise RecipeError(
                f"loss.teacher: {config.teacher} sees {teacher.context[0]} mel frames to either "
                f"side, the student {model.context[0]}: raise model.mel_side_frames"
            )
        self.teacher = teacher.eval().requires_grad_(False)

    def draw(self, items: int, samples: int, streams: Streams) -> tuple[Tensor, ...]:
        like = torch.empty(0)
        noise = self.model.draw(items, samples, streams(NOISE), like)
        if self.model.config.base == "gaussian":
            return (noise,)
        trials = self.config.trials
        more = self.model.draw(items * trials, samples, streams(TRIALS), like)
        return noise, more.view(items, trials, samples)

    def forward(
        self,
        batch: Batch,
        noise: Float[Tensor, "batch samples"],
        trials: Float[Tensor, "batch trials samples"] | None = None,
    ) -> StepOutput:
        """Losses ``divergence`` and ``power`` of one batch."""
        student = self.model.generate(noise, batch.mel)
        spare = self.model.context[0] - self.teacher.context[0]
        mel = batch.mel[:, :, spare : batch.mel.shape[2] - spare]
        expected = self.teacher.predict(student.waveform, mel)
        if trials is None:
            divergence = self._gaussian(student, expected)
        else:
            divergence = self._logistic(student, expected, trials)
        power = magnitude_loss(batch.waveform, student.waveform, self.config.n_ffts)
        return StepOutput(
            {"divergence": divergence.mean(), "power": self.config.power_weight * power},
            batch.waveform,
            student.waveform,
        )

    def _gaussian(self, student: Student, expected: Tensor) -> Float[Tensor, "batch samples"]:
        return regularised_gaussian_kl(
            student.mean,
            student.log_scale,
            expected[..., 0],
            expected[..., 1],
            self.config.regularisation,
            self.config.log_scale_floor,
        )

    def _logistic(
        self, student: Student, expected: Tensor, trials: Tensor
    ) -> Float[Tensor, "batch samples"]:
        x = student.mean[:, None] + student.log_scale.exp()[:, None] * trials
        parameters = expected[:, None].expand(-1, trials.shape[1], -1, -1)
        # A density, since the probability of the outermost 16-bit levels includes everything
        # beyond.
        floor = self.teacher.config.log_scale_floor
        cross_entropy = logistic_mixture_density_nll(parameters, x, floor).mean(1)
        return cross_entropy - (student.log_scale + 2)
