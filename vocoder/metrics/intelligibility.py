"""Intelligibility: character error rate of a speech recogniser on the estimate."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Float
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.extras import require_packages
from vocoder.metrics.signals import Signal, checked_pair, resample

if TYPE_CHECKING:
    import pocketsphinx

CONVENTION = (
    "CER (English, pocketsphinx): character errors of what `pocketsphinx` with its English model "
    "hears in the estimate, relative to what it hears in the recording itself, at 16 kHz; "
    "for English speech only"
)
RATE = 16000

Recogniser = Callable[[Float[Tensor, " samples"]], str]
"""Deterministic function from a waveform at 16 kHz to its text."""


class Intelligibility(NamedTuple):
    """Character error rate, and the two compared texts.

    Attributes:
        cer: character error rate, at least 0, above 1 with many insertions; lower is better.
        expected: the recogniser's text for the recording.
        heard: its text for the estimate.
    """

    cer: float
    expected: str
    heard: str


def require_pocketsphinx() -> None:
    """Raise a VocoderError that names the extra, unless pocketsphinx is installed."""
    require_packages("intelligibility", ("pocketsphinx",), "asr")


def intelligibility(
    reference: Signal,
    estimate: Signal,
    sample_rate: int,
    recognise: Recogniser | None = None,
    transcript: str | None = None,
) -> Intelligibility:
    """Character error rate of speech recognition on the estimate.

        edit distance(expected, heard) / length(expected)

    Both texts are in lower case with single spaces, which count as characters. `expected` is the
    same recogniser's text for the recording, so that its own mistakes cancel: 0 means no loss for
    the recogniser, not that people understand every word. A recogniser for another language outputs
    arbitrary words that change with the slightest modification: the number then measures change,
    not intelligibility.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; both are resampled to 16 kHz.
        recognise: another recogniser, such as one for another language; by default pocketsphinx
            with the US English model in its package.
        transcript: the spoken text, if known; it then replaces the recording's text.

    Raises:
        AudioError: invalid signals, or no word is recognised in the recording.
        VocoderError: the default recogniser is not installed.

    Source: Huggins-Daines et al., "PocketSphinx", ICASSP 2006; edit distance: Wagner, Fischer,
    "The string-to-string correction problem", J. ACM 1974.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    if recognise is None:
        require_pocketsphinx()
        recognise = _pocketsphinx
    spoken = _transcribed(recognise, first, sample_rate) if transcript is None else transcript
    expected = _normalised(spoken)
    if not expected:
        raise AudioError("no word is heard in the reference")
    heard = _normalised(_transcribed(recognise, second, sample_rate))
    return Intelligibility(edit_distance(expected, heard) / len(expected), expected, heard)


def edit_distance(a: str, b: str) -> int:
    """Fewest insertions, deletions and substitutions of characters that turn `a` into `b`.

    >>> edit_distance("vocoder", "decoder")
    2
    """
    row = list(range(len(b) + 1))
    for i, from_a in enumerate(a, start=1):
        above, row = row, [i]
        for j, from_b in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (from_a != from_b)))
    return row[-1]


def _transcribed(
    recognise: Recogniser, waveform: Float[Tensor, " samples"], sample_rate: int
) -> str:
    """The recogniser's text; "" for digital silence, in which some recognisers output words."""
    return recognise(resample(waveform, sample_rate, RATE)) if waveform.any() else ""


def _normalised(text: str) -> str:
    return " ".join(text.lower().split())


def _pocketsphinx(waveform: Float[Tensor, " samples"]) -> str:
    """The text recognised by pocketsphinx, in lower case; "" if none."""
    decoder = _decoder()
    # Reset: it keeps its cepstral means from one utterance to the next.
    decoder.reinit_feat()
    samples = (32767 * waveform.numpy().clip(-1.0, 1.0)).round().astype("<i2")
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return heard.hypstr if heard else ""


@functools.cache
def _decoder() -> "pocketsphinx.Decoder":
    """The decoder with the package's acoustic and language model; loaded once per process."""
    import pocketsphinx

    return pocketsphinx.Decoder(samprate=float(RATE), loglevel="FATAL")
