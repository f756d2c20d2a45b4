"""Speaker similarity: the cosine between two voice embeddings."""

import functools
import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.extras import require_packages
from vocoder.metrics.signals import Signal, checked_pair, resample

if TYPE_CHECKING:
    import resemblyzer

CONVENTION = (
    "speaker similarity: cosine of the GE2E embeddings of `resemblyzer` at 16 kHz, other rates "
    "resampled, after its removal of pauses; only levels under -30 dBFS are made equal"
)
RATE = 16000


def require_resemblyzer() -> None:
    """Raise a VocoderError that names the extra, unless resemblyzer's packages are installed.

    Its voice detector imports pkg_resources, which setuptools removed in version 81.
    """
    require_packages("speaker similarity", ("resemblyzer", "webrtcvad", "pkg_resources"))


def speaker_similarity(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """Cosine between the voice embeddings of both signals, in [0, 1]; higher is better.

        a·b / √(a·a b·b)

    An embedding is 256 non-negative numbers: the mean network output over windows of 1.6 s of a
    40-band mel. For scale, on utterances of 2 to 8 s in four languages: two utterances of one
    speaker get 0.87 (5 % of pairs are below 0.78), of different speakers 0.58 (5 % above 0.69).
    Noise, bandwidth and level matter too (only signals under -30 dBFS are raised to that), and all
    good vocoders are close to 1: it measures speaker identity, not quality.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz.

    Raises:
        AudioError: invalid signals, or no speech is found in one of them.
        VocoderError: the extra is not installed.

    Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker
    verification", ICASSP 2018; the network is Resemble AI's.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    require_resemblyzer()
    a = _embedding(resample(first, sample_rate, RATE), "reference")
    b = _embedding(resample(second, sample_rate, RATE), "estimate")
    # One root, so that equal embeddings give exactly 1.
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def _embedding(waveform: Float[Tensor, " samples"], name: str) -> np.ndarray:
    """The embedding (256,) in float64 of the voiced parts."""
    encoder = _encoder()
    import resemblyzer

    # Silence has no level in dB, and the detector converts to 16 bits without clipping.
    speech = np.zeros(0)
    if waveform.any():
        speech = resemblyzer.preprocess_wav(waveform.numpy().clip(-1.0, 1.0))
    if not len(speech):
        raise AudioError(f"{name}: no speech is found, so that there is no voice to compare")
    return encoder.embed_utterance(speech).astype(np.float64)


@functools.cache
def _encoder() -> "resemblyzer.VoiceEncoder":
    """The network with the weights of the package; read from disk once per process."""
    with warnings.catch_warnings():  # from pkg_resources and a moved scipy module
        warnings.simplefilter("ignore")
        import resemblyzer

    return resemblyzer.VoiceEncoder("cpu", verbose=False)
