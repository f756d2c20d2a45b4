"""The run script of the tiny corpus from end to end, and the requirements of the report's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.tiny import ROOT, SMALL, settings

pytestmark = pytest.mark.slow


def test_the_tiny_run_script_trains_resynthesises_and_scores(tmp_path: Path):
    run = tmp_path / "run"
    environment = {
        **os.environ,
        "RUN": str(run),
        "VOCODER_CACHE": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    reduced = settings([*SMALL, "training.steps=2"])
    command = [str(ROOT / "egs" / "tiny" / "run.sh"), *reduced]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "starting from step 0 of 2" in done.stdout
    names = sorted(path.name for path in (ROOT / "egs" / "tiny" / "wavs" / "test").glob("*.wav"))
    written = sorted(path.name for path in (run / "test" / "source_filter").glob("*.wav"))
    assert written == names
    summary = json.loads((run / "test" / "scores" / "summary.json").read_text())
    scores = summary["systems"]["source_filter"]["scores"]
    assert scores["pesq"]["n"] == len(names)
    assert 1 < scores["pesq"]["mean"] < 4.65
    assert (run / "test" / "scores" / "utterances.csv").is_file()


def test_the_report_says_at_once_that_ffmpeg_is_missing(tmp_path: Path):
    dirname = shutil.which("dirname")
    assert dirname
    (tmp_path / "dirname").symlink_to(dirname)
    bash = shutil.which("bash")
    assert bash
    command = [bash, str(ROOT / "egs" / "report" / "run.sh")]
    environment = {"PATH": str(tmp_path), "DATA": str(tmp_path / "data")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "egs/report needs ffmpeg for Opus: apt-get install ffmpeg\n"
    assert not (tmp_path / "data").exists()
