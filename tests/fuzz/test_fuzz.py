"""Hostile input ends with a correct output or one line, within limits: known inputs and new ones.

`make fuzz` runs thousands of new ones.
"""

import subprocess
import sys

import pytest

from tests.fuzz.generators import ROOT
from tests.fuzz.seeds import SEEDS

pytestmark = pytest.mark.slow

CPU_MINUTES = 0.35


def test_known_inputs_and_new_ones():
    """In a process of its own, which forks: this one has threads and checks of shapes."""
    command = [sys.executable, "-m", "tests.fuzz", "--seeds", "--tries", "400"]
    command += ["--cpu-minutes", str(CPU_MINUTES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"| known inputs | {len(SEEDS)} |" in done.stdout
