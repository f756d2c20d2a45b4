"""Writing of a corpus by several threads, one of which fails."""

import time
from pathlib import Path

import pytest
import torch

from vocoder.data.audio import Audio
from vocoder.data.layout import Recording, lay_out
from vocoder.errors import OutputError

RATE = 16000


def test_after_an_error_what_was_begun_is_ended_and_nothing_more_is_begun(tmp_path: Path):
    """A thread that is still writing when the process ends leaves half a file."""
    begun, ended = [], []

    def full(rate: int) -> Audio:
        while not begun:
            time.sleep(0.001)
        raise OutputError("out/a.wav: cannot be written (No space left on device)")

    def slow(rate: int) -> Audio:
        begun.append(rate)
        time.sleep(0.3)
        ended.append(rate)
        return Audio(torch.zeros(100), rate)

    reads = {"full": full} | {f"slow{number}": slow for number in range(20)}
    recordings = [Recording(name, "ann", "train", "CC0", read) for name, read in reads.items()]
    with pytest.raises(OutputError, match="No space left"):
        lay_out(recordings, tmp_path, RATE, jobs=2, progress=False)
    # The second thread's, and at most one that the first took before the error was seen.
    assert 1 <= len(begun) == len(ended) <= 2
    assert len(list(tmp_path.rglob("*.wav"))) == len(begun)
