"""bfloat16 where it is slow: measured on this CPU as it is, and as one with AVX2 alone."""

import os
import platform
import subprocess
import sys

import pytest

from tests.training.test_run import train_in_process
from vocoder.training import run
from vocoder.training.precision import SLOWER, bfloat16_time_ratio

pytest_plugins = ["tests.training.fixtures"]

MEASURE = "from vocoder.training.precision import bfloat16_time_ratio as r; print(r())"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the limit is for x86")
def test_a_cpu_with_avx2_alone_is_slower_in_bfloat16():
    limited = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-c", MEASURE], env=limited, capture_output=True, text=True, check=True
    )
    assert float(found.stdout) > SLOWER
    # On such a CPU both are the same ratio, and times of milliseconds beside other tests vary.
    assert bfloat16_time_ratio() < float(found.stdout) * 3


@pytest.mark.parametrize(("ratio", "precision", "warns"), [
    (4.0, "bfloat16", True), (0.5, "bfloat16", False), (4.0, "float32", False),
])  # fmt: skip
def test_a_run_in_slow_bfloat16_is_warned_of(
    tmp_path, monkeypatch, fresh_accelerator, ratio, precision, warns
):
    monkeypatch.setattr(run, "bfloat16_time_ratio", lambda: ratio)
    said = train_in_process(
        tmp_path / "run", f"training.precision={precision}", "training.steps=1", "adversarial=null"
    )
    assert ("--set training.precision=float32" in said) == warns
