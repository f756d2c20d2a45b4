"""ViSQOL: similarity of spectro-temporal patches, mapped to a mean opinion score."""

import functools
from typing import TYPE_CHECKING, NamedTuple

from vocoder.errors import AudioError
from vocoder.extras import require_packages
from vocoder.metrics.signals import Signal, checked_pair, resample

if TYPE_CHECKING:
    import visqol as visqol_package

CONVENTION = (
    "ViSQOL v3 in speech mode with the lattice mapping (C++ ViSQOL's default) by `visqol-python` "
    "at 16 kHz, other rates resampled; equal signals get 4.3 to 4.8, depending on what is said"
)
NSIM_CONVENTION = (
    "ViSQOL NSIM: the similarity of the patches before the mapping to a score; equal signals get 1"
)
RATE = 16000
_SHORTEST_S = 0.75


class Visqol(NamedTuple):
    """ViSQOL's two numbers; higher is better.

    Attributes:
        mos: mapped mean opinion score, about 1 to 5.
        nsim: mean similarity of the patches, at most 1; equal signals get 1.
    """

    mos: float
    nsim: float


def require_visqol() -> None:
    """Raise a VocoderError that names the extra, unless ViSQOL and its lattice are installed.

    Without the lattice's runtime, ai-edge-litert, `visqol-python` falls back to an older mapping
    that gives one or two points more.
    """
    require_packages("ViSQOL", ("visqol", "ai_edge_litert"))


def visqol(reference: Signal, estimate: Signal, sample_rate: int) -> Visqol:
    """ViSQOL in speech mode, and the underlying patch similarity.

    The estimate is aligned to the reference in level and delay, both become gammatone spectrograms
    of 21 bands, active speech patches of the reference are matched with patches of the estimate,
    and a lattice network maps their similarity (NSIM) to a score. The mapping is not monotone near
    the top: equal signals get 4.3 to 4.8, and faint noise may get more. Inaudible noise in the
    pauses of a very clean recording costs two points; compare systems on the same utterances only.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz.

    Raises:
        AudioError: invalid signals, shorter than 0.75 s, or one of them silent.
        VocoderError: the extra is not installed, or lacks the lattice runtime.

    Source: Chinen, Lim, Skoglund, Gureev, O'Gorman, Hines, "ViSQOL v3", QoMEX 2020. The package is
    a port of Google's C++ code, with differences below 0.003.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    if first.numel() < _SHORTEST_S * sample_rate:
        raise AudioError(
            f"ViSQOL needs at least {_SHORTEST_S} s, got {first.numel() / sample_rate:.3f} s"
        )
    # The package divides by the level of the estimate, and scores a silent reference like noise.
    if not first.any() or not second.any():
        raise AudioError("ViSQOL is not defined for digital silence")
    require_visqol()
    a, b = (resample(x, sample_rate, RATE).double().numpy() for x in (first, second))
    result = _api().measure_from_arrays(a, b, RATE)
    # Rounding in sums over equal patches.
    return Visqol(float(result.moslqo), min(float(result.vnsim), 1.0))


@functools.cache
def _api() -> "visqol_package.VisqolApi":
    """The package's interface in speech mode; it keeps its network, but no signals."""
    import visqol as visqol_package

    api = visqol_package.VisqolApi()
    api.create(mode="speech", use_lattice_model=True)
    return api
