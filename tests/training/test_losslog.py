"""The log of losses on a full disk."""

import resource
from pathlib import Path

import pytest

from vocoder.errors import OutputError
from vocoder.training.losslog import LossLog, StepReport


def test_a_full_disk_is_named(tmp_path: Path):
    log = LossLog(tmp_path / "losses.jsonl", 0)
    for step in range(9):
        log.add(StepReport(step, {"stft": 1.0}, 1.0, 1e-3, 1.0), 0.1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OutputError, match=r"losses\.jsonl: cannot be written \(File too"):
            log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
