"""Choice of the scoring sample rate from the files' headers."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from vocoder.data.audio import open_audio
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.pairs import Pair

SampleRate = int | Literal["auto", "reference"]
"""Sample rate option: hertz, the lowest rate of all files, or that of each recording."""

LOWEST_HZ = 4000
HIGHEST_HZ = 384_000


def check_sample_rate(sample_rate: SampleRate) -> None:
    """Raise a VocoderError unless it is "auto", "reference" or a rate of audio in Hz."""
    if sample_rate in ("auto", "reference"):
        return
    if not (isinstance(sample_rate, int) and LOWEST_HZ <= sample_rate <= HIGHEST_HZ):
        raise VocoderError(
            f"sample_rate: {sample_rate} is neither a rate from {LOWEST_HZ} to {HIGHEST_HZ} Hz "
            "nor auto nor reference"
        )


def scoring_rate(pairs: Sequence[Pair], sample_rate: SampleRate = "auto") -> tuple[int | None, str]:
    """The rate in Hz to which both files of every pair are resampled, and a sentence about it.

    At 24 kHz, a 16 kHz system would be penalised for its missing upper band, so the default is the
    lowest rate of any file.

    Args:
        pairs: the pairs to score. Only headers are read; files with unreadable headers or without a
            counterpart are ignored.
        sample_rate: "auto" for the lowest rate of any file, "reference" for that of each
            recording, or a rate in Hz.

    Returns:
        The rate, or None if each recording's own is used and they differ or are unknown.
    """
    complete = [pair for pair in pairs if pair.reference and pair.estimate]
    recordings = _rates(pair.reference for pair in complete)
    systems: dict[str, set[int]] = {}
    for name in dict.fromkeys(pair.system for pair in complete):
        systems[name] = _rates(pair.estimate for pair in complete if pair.system == name)
    found = recordings.union(*systems.values())
    if isinstance(sample_rate, int):
        return sample_rate, f"scored at {sample_rate} Hz, as asked for"
    if not found or not recordings:
        return None, ""
    if sample_rate == "reference":
        rate = min(recordings) if len(recordings) == 1 else None
        said = _hertz(recordings)
        return rate, f"scored at the rate of each recording, {said}"
    lowest = min(found)
    if len(found) == 1:
        return lowest, f"scored at {lowest} Hz, the rate of all files"
    described = [f"recordings {_hertz(recordings)}"]
    described += [f"{name} {_hertz(rates)}" for name, rates in systems.items() if rates]
    return lowest, (
        f"scored at {lowest} Hz, the lowest rate among recordings and systems: "
        f"{', '.join(described)}"
    )


def _rates(paths: Iterable[Path | None]) -> set[int]:
    rates = set()
    for path in filter(None, dict.fromkeys(paths)):
        try:
            with open_audio(path) as file:
                rates.add(file.sample_rate)
        # The audio reader reports this error in the row of the file.
        except AudioError:
            continue
    return rates


def _hertz(rates: Iterable[int]) -> str:
    return f"{' and '.join(map(str, sorted(rates)))} Hz"
