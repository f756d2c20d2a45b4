"""Losses of F0 and voicing that a model predicts from the mel itself."""

from torch import Tensor

from vocoder.data.segments import Batch
from vocoder.losses.pitch import f0_classification_loss, voicing_loss
from vocoder.models.pitch_predictor import PitchEstimate, PitchPredictorConfig

UNVOICED_WEIGHT = 0.1
"""What an unvoiced frame, whose F0 is interpolated, counts in the F0 loss."""


def pitch_losses(
    pitch: PitchEstimate,
    batch: Batch,
    predictor: PitchPredictorConfig,
    f0_weight: float,
    voicing_weight: float,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Losses ``f0`` and ``voicing`` against Praat's track, and the counts of ``StepOutput``."""
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
    return {"f0": f0_weight * f0, "voicing": voicing_weight * voicing}, {"f0": count}
