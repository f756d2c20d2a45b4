"""Distill-MOS: a small network's prediction of listeners' opinion, from the estimate alone."""

import contextlib
import functools
import io
from typing import TYPE_CHECKING

import torch

from vocoder.errors import AudioError
from vocoder.extras import require_packages
from vocoder.metrics.signals import Signal, checked_pair, resample

if TYPE_CHECKING:
    import distillmos as distillmos_package

CONVENTION = (
    "Distill-MOS v7 by `distillmos` at 16 kHz, other rates resampled; no reference is used; "
    "signals under 7.68 s are zero-padded, longer ones are scored in overlapping pieces"
)
RATE = 16000


def require_distillmos() -> None:
    """Raise a VocoderError that names the extra, unless Distill-MOS's packages are installed."""
    require_packages("Distill-MOS", ("distillmos", "xls_r_sqa", "transformers"))


def distillmos(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """Predicted mean opinion score of the estimate, from 1 to 5; higher is better.

    Args:
        reference: only validated; present for a uniform interface. To score the recordings,
            evaluate them as a system.
        estimate: the signal to score, shape (samples,), in [-1, 1]; its level does not matter.
        sample_rate: of both, in Hz.

    Raises:
        AudioError: invalid signals, or a silent estimate (outside the network's domain).
        VocoderError: the extra is not installed.

    Source: Stahl, Gamper, "Distillation and pruning for scalable self-supervised
    representation-based speech quality assessment", ICASSP 2025.
    """
    _, waveform = checked_pair(reference, estimate, sample_rate)
    if not waveform.any():
        raise AudioError("Distill-MOS is not defined for digital silence")
    require_distillmos()
    with torch.no_grad():
        return float(_network()(resample(waveform, sample_rate, RATE)[None]))


@functools.cache
def _network() -> "distillmos_package.ConvTransformerSQAModel":
    """The network with the package's weights; loaded once per process."""
    import distillmos as distillmos_package

    # It prints the path of its weights, which would corrupt our JSON output.
    with contextlib.redirect_stdout(io.StringIO()):
        network = distillmos_package.ConvTransformerSQAModel()
    return network.eval()
