"""docs/dsp.md: its code runs, its lesson gives speech, and it covers every function."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import vocoder.dsp
from vocoder.metrics.f0 import f0_errors
from vocoder.metrics.pesq import pesq_wb

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "dsp.md").read_text(encoding="utf-8")


def public_functions() -> list[str]:
    names = []
    for module in walk_packages(vocoder.dsp.__path__, "vocoder.dsp."):
        content = import_module(module.name)
        for name, value in inspect.getmembers(content, inspect.isfunction):
            if value.__module__ == content.__name__ and not name.startswith("_"):
                names.append(name)
    return names


def test_the_guide_knows_every_function() -> None:
    names = public_functions()
    assert len(names) > 60
    assert [name for name in names if not re.search(rf"\b{name}\b", GUIDE)] == []


def test_the_table_of_costs_is_that_of_the_benchmark() -> None:
    from bench.dsp_operations import operations

    table = GUIDE.partition("<!-- begin costs -->")[2].partition("<!-- end costs -->")[0]
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \|", table, flags=re.MULTILINE)
    assert rows == [(operation.name, operation.what) for operation in operations()]


def test_the_code_of_the_guide_runs_and_the_lesson_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    session: dict = {}
    code = re.findall(r"^```python\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
    for block in code:
        exec(compile(block, "docs/dsp.md", "exec"), session)
    *_, lesson = code
    lines = [line for line in lesson.splitlines() if not re.match(r"(#|from |import |$)", line)]
    assert len(lines) <= 20
    speech, voice = session["speech"][0], session["voice"][0]
    pitch = f0_errors(speech, voice, session["rate"])
    assert pitch.fine_rmse_cents < 30
    assert pitch.voicing_error < 0.15
    assert pesq_wb(speech, voice, session["rate"]) > 1.5
