"""Intelligibility: how much of a recogniser's text of the recording it finds in the estimate."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Float
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.metrics.extras import require_packages
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
"""A waveform at 16 kHz to its text, the same whenever it is called."""


class Intelligibility(NamedTuple):
    """Character error rate, and the two texts that it compares.

    Attributes:
        cer: character error rate, from 0 upwards, above 1 where much is inserted; lower is
            better.
        expected: the recogniser's text of the recording.
        heard: its text of the estimate.
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

    Both texts in lower case with single spaces, spaces counted as characters. `expected` is
    what the same recogniser hears in the recording, so that its own mistakes cancel: 0 says that
    nothing got lost for it, not that people understand every word. A recogniser made for another
    language hears words that were never said, and loses them at the slightest change: then the
    number says how much changed, and nothing of intelligibility.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; both are resampled to 16 kHz.
        recognise: another recogniser, of another language or better; by default pocketsphinx
            with the US English model in its package.
        transcript: what was said, if known; it is then what the estimate is compared with.

    Raises:
        AudioError: invalid signals, or nothing is expected: no word is heard in the recording.
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
        raise AudioError("no word is heard in the reference, so that none can be lost")
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
    """The recogniser's text; "" for digital silence, in which some recognisers find words."""
    return recognise(resample(waveform, sample_rate, RATE)) if waveform.any() else ""


def _normalised(text: str) -> str:
    return " ".join(text.lower().split())


def _pocketsphinx(waveform: Float[Tensor, " samples"]) -> str:
    """What pocketsphinx hears, lower-case words; "" where it hears none."""
    decoder = _decoder()
    # It carries its cepstral means over from one utterance to the next.
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
