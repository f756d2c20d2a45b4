"""Losses of F0 and voicing predicted from the mel."""

from pydantic import Field
from torch import Tensor

from vocoder.data.segments import Batch
from vocoder.features.pitch import PitchEstimate
from vocoder.losses.pitch import f0_classification_loss, voicing_loss
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.training.objectives.base import ObjectiveConfig

UNVOICED_WEIGHT = 0.1
"""Weight of an unvoiced frame, whose F0 is interpolated, in the F0 loss."""


class PitchLossConfig(ObjectiveConfig):
    """Weights of the F0 and the voicing loss. ``predicted_pitch`` is the fraction of segments
    synthesised from the model's own F0 and voicing instead of Praat's, to match training to
    inference."""

    f0_weight: float = Field(0.1, ge=0)
    voicing_weight: float = Field(0.1, ge=0)
    predicted_pitch: float = Field(0.5, ge=0, le=1)


def pitch_losses(
    pitch: PitchEstimate, batch: Batch, predictor: PitchPredictorConfig, weights: PitchLossConfig
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Losses ``f0`` and ``voicing`` against Praat's track, and the counts of `StepOutput`."""
    f0 = f0_classification_loss(
        pitch.f0_logits,
        batch.f0_hz,
        batch.voicing,
        predictor.f0_min_hz,
        predictor.bin_cents,
        unvoiced_weight=UNVOICED_WEIGHT,
    )
    voicing = voicing_loss(pitch.voicing_logit, batch.voicing)
    count = (UNVOICED_WEIGHT + (1 - UNVOICED_WEIGHT) * batch.voicing).sum()
    return {"f0": weights.f0_weight * f0, "voicing": weights.voicing_weight * voicing}, {
        "f0": count
    }
