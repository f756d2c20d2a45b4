"""The log of losses: on a full disk, and after a run that stopped."""

import json
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


def test_the_log_of_losses_drops_what_comes_again_and_half_lines(tmp_path: Path):
    path = tmp_path / "losses.jsonl"
    log = LossLog(path, 0)
    for step in range(5):
        log.add(StepReport(step, {"total": 1 / 3 + step}, 1.0, 1e-3, 1.0), 0.5)
    log.flush()
    path.write_text(path.read_text() + '{"step": 1, "seco')
    resumed = LossLog(path, 3)
    resumed.add(StepReport(3, {"total": 7.0}, 1.0, 1e-3, 1.0), 0.5)
    resumed.flush()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    assert rows[1]["total"] == 1 / 3 + 1
    assert rows[3]["total"] == 7.0
