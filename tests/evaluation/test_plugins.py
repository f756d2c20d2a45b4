"""User-defined metrics, in this process, in worker processes and on a cluster."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.cli import app
from vocoder.data.audio import read_audio, write_audio
from vocoder.errors import VocoderError
from vocoder.evaluation.cache import ScoreCache
from vocoder.evaluation.folders import evaluate_folders
from vocoder.evaluation.plugins import (
    PluginMeasure,
    absolute_spec,
    load_metrics,
    load_plugins,
    source_digest,
)
from vocoder.evaluation.registry import METRICS, resolve_columns

pytestmark = pytest.mark.slow

PLUGIN = """
from typing import NamedTuple

from vocoder.evaluation.metric import Metric
from vocoder.metrics.signals import checked_pair


class Peaks(NamedTuple):
    difference: float
    ratio: float


def peaks(reference, estimate, sample_rate):
    a, b = checked_pair(reference, estimate, sample_rate)
    with open(__file__ + ".calls", "a") as file:
        file.write("once\\n")
    return Peaks(float((a - b).abs().max()), float(b.abs().max() / a.abs().max()))


METRICS = {
    "peak_difference": Metric("peak difference", peaks, "difference", "lower", 4, "largest |a - b|",
                              banded=True),
    "peak_ratio": Metric("peak ratio", peaks, "ratio", "higher", 4, "largest |b| by largest |a|"),
}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "my peaks.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two recordings, and a system that adds noise to them."""
    for number in range(2):
        clean = speech_like(cents=100 * number, seed=number)[:RATE]
        for name, signal in (("recordings", clean), ("mine", with_noise(clean, 20 - 5 * number))):
            path = tmp_path / name / f"{number}.wav"
            write_audio(path, torch.from_numpy(signal), RATE)
    return tmp_path / "recordings", tmp_path / "mine"


def peaks(folders: tuple[Path, Path], name: str) -> tuple[float, float]:
    a, b = (read_audio(folder / f"{name}.wav").waveform for folder in folders)
    return float((a - b).abs().max()), float(b.abs().max() / a.abs().max())


def check_table(output: Path, folders: tuple[Path, Path]) -> None:
    with (output / "utterances.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["utterance"] for row in rows] == ["0", "1"]
    for row in rows:
        assert row["error"] == ""
        found = float(row["peak_difference"]), float(row["peak_ratio"])
        assert found == pytest.approx(peaks(folders, row["utterance"]), rel=1e-5)


NAMES = ("mstft", "peak_difference", "peak_ratio")


@pytest.mark.parametrize("jobs", [1, 2])
def test_worker_processes_find_it_by_a_relative_path(plugin, folders, tmp_path, monkeypatch, jobs):
    monkeypatch.chdir(tmp_path)
    spec = f"{plugin.name}:METRICS"
    summary = evaluate_folders(
        folders[0], {"s": folders[1]}, tmp_path / "out", NAMES, jobs=jobs, plugins=[spec]
    )
    check_table(tmp_path / "out", folders)
    assert summary.metrics["peak_ratio"].better == "higher"
    # Two columns of one function: one call per pair.
    assert Path(f"{plugin}.calls").read_text() == "once\n" * 2


def test_workers_of_a_cluster_find_it(plugin, folders, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path
    ) as cluster:
        evaluate_folders(
            folders[0],
            {"s": folders[1]},
            tmp_path / "out",
            NAMES,
            backend="dask",
            scheduler=cluster.scheduler_address,
            plugins=[f"{plugin}:METRICS"],
        )
    check_table(tmp_path / "out", folders)


def test_remembered_scores_are_those_of_the_file_as_it_is(plugin, folders, tmp_path):
    cache = ScoreCache(tmp_path / "cache")

    def calls(path: Path, text: str) -> int:
        path.write_text(text)
        evaluate_folders(
            folders[0],
            {"s": folders[1]},
            tmp_path / "out",
            NAMES,
            jobs=1,
            cache=cache,
            plugins=[f"{path}:METRICS"],
        )
        made = Path(f"{path}.calls")
        return len(made.read_text().splitlines()) if made.exists() else 0

    changed = PLUGIN.replace("(a - b).abs()", "(b - a).abs()")
    assert calls(plugin, PLUGIN) == 2
    assert calls(tmp_path / "moved.py", PLUGIN) == 0
    assert calls(tmp_path / "changed.py", changed) == 2


def test_the_band_to_7_khz_is_offered_too(plugin):
    more = load_metrics(f"{plugin}:METRICS")
    columns = resolve_columns(("peak_difference", "pesq"), True, more)
    assert [c.name for c in columns] == ["peak_difference", "peak_difference_7k", "pesq", "pesq_7k"]
    with pytest.raises(VocoderError, match="no metric 'peak_ratoi'; did you mean peak_ratio"):
        resolve_columns(("peak_ratoi",), more=more)


def test_a_module_on_the_path_is_found_by_its_name(plugin, monkeypatch):
    (plugin.parent / "installed_peaks.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(plugin.parent)
    metrics = load_metrics("installed_peaks:METRICS")
    spec = "installed_peaks:METRICS"
    digest = source_digest(f"{plugin}:METRICS")
    assert metrics["peak_ratio"].measure == PluginMeasure(spec, "peak_difference", digest)
    assert metrics["peak_ratio"].measure(np.ones(9), np.ones(9) / 2, RATE).ratio == 0.5


def test_a_path_becomes_absolute_and_a_module_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_spec("sub/a.py:M") == f"{tmp_path}/sub/a.py:M"
    assert absolute_spec("package.module:M") == "package.module:M"


HEAD = "from vocoder.evaluation.metric import Metric\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_to_be_found", "fails .ModuleNotFoundError: No module named"),
        ("def broken(:", "it fails .SyntaxError"),
        ("OTHER = {}", "there is no METRICS in it"),
        ("METRICS = {}", "expected a dictionary of metrics by name, got {}"),
        ("METRICS = [1]", "expected a dictionary of metrics by name, got .1."),
        ("METRICS = {'x': len}", "metric 'x': expected a vocoder.evaluation.metric.Metric, got <"),
        ("METRICS = {'x': Metric('X', 3, None, 'lower', 2, 'x')}", "'x': measure: .* got 3"),
        ("METRICS = {'x': Metric('X', len, None, 'low', 2, 'x')}", "'x': better: .*got 'low'"),
        ("METRICS = {'x': Metric('X', len, None, 'lower', 2.5, 'x')}", "'x': decimals: .* got 2.5"),
        ("METRICS = {'x': Metric('X', len, None, 'lower', 2, 'a\\nb')}", "convention: .* one line"),
        ("METRICS = {'': Metric('X', len, None, 'lower', 2, 'x')}", "metric '': a name is letters"),
        ("METRICS = {'pesq': Metric('X', len, None, 'lower', 2, 'x')}", "'pesq': the name is tak"),
        ("METRICS = {'note': Metric('X', len, None, 'lower', 2, 'x')}", "'note': the name is tak"),
        ("METRICS = {'x_7k': Metric('X', len, None, 'lower', 2, 'x')}", "'x_7k': the name is tak"),
    ],
)
def test_what_is_no_plugin_is_refused_with_its_place(tmp_path, text, said):
    path = tmp_path / "plugin.py"
    path.write_text(HEAD + text)
    with pytest.raises(VocoderError, match=said) as raised:
        load_metrics(f"{path}:METRICS")
    assert str(raised.value).startswith(f"{path}:METRICS: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("/nowhere/a.py:METRICS", "/nowhere/a.py:METRICS: no such file"),
        ("no_such_module:METRICS", "no_such_module:METRICS: it cannot be imported"),
        ("a.py", "write it as"),
        ("a.py:", "write it as"),
        (":METRICS", "write it as"),
        ("a.py:not one", "write it as"),
    ],
)
def test_a_place_that_is_none_is_refused(spec, said):
    with pytest.raises(VocoderError, match=said):
        load_metrics(spec)


def test_one_name_in_two_plugins_is_refused_and_one_plugin_twice_is_not(plugin):
    spec = f"{plugin}:METRICS"
    assert list(load_plugins([spec, spec])) == ["peak_difference", "peak_ratio"]
    other = plugin.with_name("other.py")
    other.write_text(PLUGIN)
    with pytest.raises(VocoderError, match="'peak_difference' is in another plugin too"):
        load_plugins([spec, f"{other}:METRICS"])


class OneNumber(torch.nn.Module):
    """Stands for a network with weights: 5 minus ten times the mean level."""

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return 5 - 10 * waveform.abs().mean(dim=1)


def test_the_example_of_the_documentation_runs(folders, tmp_path, repository, monkeypatch):
    text = (repository / "docs" / "metrics.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(# utmos\.py.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    (command,) = re.findall(r"^(vocoder evaluate .*--metric-plugin .*)$", text, flags=re.MULTILINE)
    (tmp_path / "utmos.py").write_text(code)
    lengths = {"waveform": {1: torch.export.Dim("samples", min=1000)}}
    program = torch.export.export(OneNumber(), (torch.zeros(1, RATE),), dynamic_shapes=lengths)
    torch.export.save(program, tmp_path / "utmos.pt2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOCODER_CACHE", str(tmp_path / "cache"))
    result = CliRunner().invoke(app, [*command.split()[1:], "--jobs", "1"])
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "scores" / "summary.json").read_text())
    expected = [
        5 - 10 * float(read_audio(folders[1] / f"{name}.wav").waveform.abs().mean())
        for name in "01"
    ]
    found = summary["systems"]["mine"]["scores"]
    assert found["utmos"]["mean"] == pytest.approx(np.mean(expected), rel=1e-5)
    # What it adds to the usual columns, and its description, is in the summary and the table.
    assert found["pesq"]["n"] == 2
    assert "UTMOS" in summary["metrics"]["utmos"]["convention"]
    assert "UTMOS ↑" in result.stdout
    assert "utmos" not in METRICS
