"""Cached scores: reuse and recomputation, damage, concurrent writers, SIGKILL."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from vocoder.data.audio import read_audio, write_audio
from vocoder.errors import AudioError, OutputError, VocoderError
from vocoder.evaluation import cache as cache_module
from vocoder.evaluation import folders as folders_module
from vocoder.evaluation.cache import CorruptEntryError, Entry, ScoreCache, StoredScore
from vocoder.evaluation.folders import evaluate_folders
from vocoder.evaluation.metric import Metric
from vocoder.evaluation.registry import METRICS
from vocoder.evaluation.summary import Summary

pytestmark = pytest.mark.slow

RATE = 16000


@pytest.fixture
def material(tmp_path: Path, tiny_corpus: Path) -> tuple[Path, Path]:
    """Three utterances as recorded, and smoothed."""
    for name in ("test/it_dir-firstlast", "test/ru_followme_sorry", "train/es_please-try-again"):
        waveform = read_audio(tiny_corpus / "wavs" / f"{name}.wav").waveform
        stem = Path(name).stem
        write_audio(tmp_path / "recordings" / f"{stem}.wav", waveform, RATE)
        smoothed = 0.25 * (waveform.roll(-1) + 2 * waveform + waveform.roll(1))
        write_audio(tmp_path / "system" / f"{stem}.wav", smoothed, RATE)
    return tmp_path / "recordings", tmp_path / "system"


@pytest.fixture
def cache(tmp_path: Path) -> ScoreCache:
    return ScoreCache(tmp_path / "cache")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the metrics that ran, one entry per utterance."""
    calls: list[str] = []

    def counting(name: str, value: Callable[..., float]) -> Callable[..., float]:
        def measure(reference: torch.Tensor, estimate: torch.Tensor, sample_rate: int) -> float:
            calls.append(name)
            return value(reference, estimate)

        return measure

    functions = {
        "first": lambda a, b: float((a - b).abs().mean()),
        "second": lambda a, b: float((a - b).square().mean()),
    }
    for name, function in functions.items():
        metric = Metric(name, counting(name, function), None, "lower", 3, name)
        monkeypatch.setitem(METRICS, name, metric)
    return calls


def run(material: tuple[Path, Path], cache: ScoreCache | None, *metrics: str, **options) -> Summary:
    reference, system = material
    output = cache.folder.parent / "out" if cache else reference.parent / "out"
    options = {"jobs": 1, "progress": False} | options
    return evaluate_folders(reference, {"s": system}, output, metrics, cache=cache, **options)


def table(cache: ScoreCache) -> dict[str, dict[str, str]]:
    with (cache.folder.parent / "out" / "utterances.csv").open(newline="") as file:
        return {row["utterance"]: row for row in csv.DictReader(file)}


def entries(cache: ScoreCache) -> list[Path]:
    return sorted(cache.folder.rglob("*.json"))


# -- what is measured again ----------------------------------------------------------------------


def test_a_second_run_measures_nothing_and_writes_the_same(material, cache, measured, monkeypatch):
    summary = run(material, cache, "first", "second")
    files = {p.name: p.read_text() for p in (cache.folder.parent / "out").iterdir()}
    assert (len(measured), len(entries(cache))) == (6, 3)

    def no_work(*arguments: object) -> None:
        raise AssertionError("workers were started")

    monkeypatch.setattr(folders_module, "run_unordered", no_work)
    assert run(material, cache, "first", "second") == summary
    assert {p.name: p.read_text() for p in (cache.folder.parent / "out").iterdir()} == files
    assert len(measured) == 6


def test_without_a_cache_all_is_measured_and_nothing_kept(material, measured, tmp_path):
    run(material, None, "first")
    run(material, None, "first")
    assert len(measured) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"recordings", "system", "out"}


def test_another_metric_is_added_to_what_is_there(material, cache, measured):
    run(material, cache, "first")
    run(material, cache, "first", "second")
    assert measured == ["first"] * 3 + ["second"] * 3
    run(material, cache, "second")
    run(material, cache, "first")
    assert len(measured) == 6
    assert len(entries(cache)) == 3


def test_a_new_version_of_one_metric_is_measured_again(material, cache, measured, monkeypatch):
    run(material, cache, "first", "second")
    del measured[:]
    monkeypatch.setitem(METRICS, "first", dataclasses.replace(METRICS["first"], version=2))
    run(material, cache, "first", "second")
    assert measured == ["first"] * 3


def test_another_version_of_a_package_voids_the_scores_of_its_metrics_alone(
    material, cache, measured, monkeypatch
):
    monkeypatch.setitem(METRICS, "first", dataclasses.replace(METRICS["first"], packages=("pesq",)))
    run(material, cache, "first", "second")
    del measured[:]
    real = cache_module.package_version
    monkeypatch.setattr(
        cache_module, "package_version", lambda name: "9.9" if name == "pesq" else real(name)
    )
    for _ in range(2):
        run(material, cache, "first", "second")
        assert measured == ["first"] * 3


def test_what_counts_is_the_content_of_both_files(material, cache, measured):
    reference, system = material
    run(material, cache, "first")
    del measured[:]
    # Other places, names and dates: the same.
    moved = reference.parent / "moved"
    shutil.copytree(reference, moved / "a")
    shutil.copytree(system, moved / "b")
    for folder in ("a", "b"):
        (moved / folder / "it_dir-firstlast.wav").rename(moved / folder / "other name.wav")
    run((moved / "a", moved / "b"), cache, "first")
    assert measured == []
    # One sample of one file, at the size and date that it had before: another.
    for folder in (reference, system):
        changed = folder / "ru_followme_sorry.wav"
        before = changed.stat()
        content = bytearray(changed.read_bytes())
        content[-1] ^= 1
        changed.write_bytes(content)
        os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
        run(material, cache, "first")
        assert measured == ["first"]
        del measured[:]


def test_another_alignment_is_another_score(material, cache, measured):
    for max_delay_ms, calls in ((50.0, 3), (0.0, 6), (20.0, 9), (0.0, 9), (50.0, 9)):
        run(material, cache, "first", max_delay_ms=max_delay_ms)
        assert len(measured) == calls


@pytest.mark.parametrize(
    "setting", [{"max_length_difference_s": 0.1}, {"match_level": True}, {"sample_rate": 8000}]
)
def test_another_length_level_or_rate_is_another_score(material, cache, measured, setting):
    for options, calls in (({}, 3), (setting, 6), ({}, 6), (setting, 6)):
        run(material, cache, "first", **options)
        assert len(measured) == calls


def test_the_rate_of_the_files_asked_for_outright_is_the_same_score(material, cache, measured):
    for sample_rate in ("auto", "reference", RATE):
        run(material, cache, "first", sample_rate=sample_rate)
    assert len(measured) == 3


def test_the_level_is_remembered_for_the_note(material, cache):
    run(material, cache, "level_difference")
    notes = {name: row["note"] for name, row in table(cache).items()}
    assert all(note.startswith("level -") for note in notes.values())
    run(material, cache, "level_difference")
    assert {name: row["note"] for name, row in table(cache).items()} == notes
    # Noted with its column only: that another run measured it makes no difference.
    run(material, cache, "mstft")
    assert {row["note"] for row in table(cache).values()} == {""}


def test_the_roles_of_the_files_matter(material, cache, measured):
    run(material, cache, "first")
    run(material[::-1], cache, "first")
    assert len(measured) == 6


# -- failures ------------------------------------------------------------------------------------


def test_a_lasting_failure_is_remembered_and_a_transient_one_is_not(material, cache, monkeypatch):
    trouble: list[Exception] = [AudioError("no speech in it")]
    calls = []

    def failing(reference: torch.Tensor, estimate: torch.Tensor, sample_rate: int) -> float:
        calls.append(1)
        if trouble:
            raise trouble[0]
        return 1.0

    metric = Metric("f", failing, None, "lower", 3, "f")
    monkeypatch.setitem(METRICS, "f", metric)
    assert run(material, cache, "f").failures == 3
    assert run(material, cache, "f").problems == run(material, cache, "f").problems
    assert len(calls) == 3
    assert table(cache)["it_dir-firstlast"]["error"] == "f: no speech in it"
    trouble[0] = MemoryError("too little")
    monkeypatch.setitem(METRICS, "f", dataclasses.replace(metric, version=2))
    assert run(material, cache, "f").failures == 3
    trouble.clear()
    assert run(material, cache, "f").failures == 0
    assert len(calls) == 9


def test_an_undefined_score_and_the_notes_are_remembered(material, cache, monkeypatch):
    _, system = material
    longer = read_audio(system / "it_dir-firstlast.wav").waveform
    write_audio(system / "it_dir-firstlast.wav", torch.cat([longer, torch.zeros(7)]), RATE)
    metric = Metric("n", lambda *_: float("nan"), None, "lower", 3, "n", undefined="no voice")
    monkeypatch.setitem(METRICS, "n", metric)
    run(material, cache, "n")
    first = table(cache)
    assert first["it_dir-firstlast"]["note"] == (
        "longer than the reference by 7 samples (0.4 ms), cropped"
    )
    assert first["it_dir-firstlast"]["error"] == "n: no voice"
    run(material, cache, "n")
    assert table(cache) == first


def test_files_that_cannot_be_compared_are_told_every_time(material, cache, measured):
    _, system = material
    (system / "it_dir-firstlast.wav").write_bytes(b"words")
    (system / "es_please-try-again.wav").unlink()
    for _ in range(2):
        assert run(material, cache, "first").failures == 2
    assert measured == ["first"]
    assert len(entries(cache)) == 1


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "other JSON": lambda content: b"[1, 2]",
    "infinite": lambda content: json.dumps(
        _changed(json.loads(content), value=float("inf"))
    ).encode(),
    "a word for a number": lambda content: json.dumps(
        _changed(json.loads(content), value="high")
    ).encode(),
}


def _changed(entry: dict, **fields: object) -> dict:
    entry["scores"]["first"] |= fields
    return entry


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_corrupt_entry_is_measured_again_and_said_once(material, cache, measured, damage):
    run(material, cache, "first")
    expected = table(cache)
    del measured[:]
    victim = entries(cache)[1]
    victim.write_bytes(DAMAGE[damage](victim.read_bytes()))
    run(material, cache, "first")
    assert measured == ["first"]
    noted = {name: row["note"] for name, row in table(cache).items() if row["note"]}
    assert list(noted.values()) == ["its entry in the score cache was corrupt, measured again"]
    assert {name: row["first"] for name, row in table(cache).items()} == {
        name: row["first"] for name, row in expected.items()
    }
    run(material, cache, "first")
    assert table(cache) == expected
    assert measured == ["first"]


def test_a_folder_that_cannot_be_made_is_refused_before_the_run(material, tmp_path, measured):
    (tmp_path / "in_the_way").write_text("")
    with pytest.raises(VocoderError, match=r"in_the_way.*--no-cache"):
        run(material, ScoreCache(tmp_path / "in_the_way"), "first")
    assert measured == []
    assert not (tmp_path / "out").exists()


def test_scores_survive_a_full_disk(material, cache, measured, monkeypatch):
    def full(path: Path, text: str) -> None:
        raise OutputError("No space left on device")

    monkeypatch.setattr("vocoder.evaluation.cache.write_text", full)
    assert run(material, cache, "first").failures == 0
    notes = {row["note"] for row in table(cache).values()}
    assert notes == {"not put into the score cache (No space left on device)"}


# -- many processes, and one that is killed ------------------------------------------------------


def _hammer(folder: Path, number: int) -> int:
    """Read and write a few keys again and again; how many reads found an entry."""
    cache, found = ScoreCache(folder), 0
    for turn in range(150):
        key = f"{turn % 3:040}"
        found += cache.read(key) is not None
        score = StoredScore(value=float(number), error=None, fingerprint="x" * (1000 * number))
        cache.write(key, Entry(duration_s=1.0, notes=(), scores={"first": score}))
    return found


def test_many_processes_may_read_and_write_one_entry(cache):
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        found = list(pool.map(_hammer, [cache.folder] * 4, range(1, 5)))
    # Every read found a whole entry or none; only the first of all may find none.
    assert all(count >= 147 for count in found)
    assert len(entries(cache)) == 3
    assert not [path for path in cache.folder.rglob("*") if path.name.startswith(".")]
    entries(cache)[0].write_text("{")
    with pytest.raises(CorruptEntryError):
        cache.read(f"{0:040}")


SLOW = """
import os, time
from vocoder.evaluation.metric import Metric

def measure(reference, estimate, sample_rate):
    log("begin", len(reference))
    time.sleep(0.2)
    log("end", len(reference))
    return len(reference) / sample_rate

def log(*words):
    with open({log!r}, "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

METRICS = {{"slow": Metric("slow", measure, None, "higher", 3, "the length in seconds")}}
"""


def test_a_killed_run_loses_at_most_what_was_under_way(tmp_path):
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 6000).astype(np.float32))
    names = [f"u{number:02}" for number in range(24)]
    for number, name in enumerate(names):
        for folder in ("recordings", "system"):
            write_audio(tmp_path / folder / f"{name}.wav", noise[: 5000 + number], RATE)
    log = tmp_path / "log"
    (tmp_path / "slow.py").write_text(SLOW.format(log=str(log)))
    command = [
        sys.executable, "-m", "vocoder", "evaluate", "--reference", "recordings",
        "--system", "s=system", "--output", "out", "--metric-plugin", "slow.py:METRICS",
        "--metrics", "slow", "--max-delay-ms", "0", "--jobs",
    ]  # fmt: skip
    environment = {**os.environ, "VOCODER_CACHE": str(tmp_path / "cache")}
    cache = ScoreCache(tmp_path / "cache" / "scores")

    def said(word: str) -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.split()[1] for line in lines if line.startswith(word)]

    with subprocess.Popen([*command, "2"], cwd=tmp_path, env=environment) as run:
        deadline = time.monotonic() + 240
        while len(said("end")) < 8 and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    finished, kept = len(said("end")), len(entries(cache))
    assert finished >= 8
    assert kept >= finished - 2
    assert not (tmp_path / "out" / "utterances.csv").exists()
    # The workers notice the end of the parent, and stop.
    quiet_since, before = time.monotonic(), -1
    while time.monotonic() - quiet_since < 1.0 and time.monotonic() < deadline:
        if before != (before := len(log.read_text())):
            quiet_since = time.monotonic()
        time.sleep(0.05)

    kept = len(entries(cache))
    assert kept < len(names)
    log.unlink()
    subprocess.run([*command, "1"], cwd=tmp_path, env=environment, check=True)
    assert len(said("begin")) == len(names) - kept
    with (tmp_path / "out" / "utterances.csv").open(newline="") as file:
        scores = {row["utterance"]: float(row["slow"]) for row in csv.DictReader(file)}
    expected = {name: (5000 + number) / RATE for number, name in enumerate(names)}
    assert scores == pytest.approx(expected, rel=1e-5)


IN_PLACE = """
from vocoder.evaluation.metric import Metric


def loudest(reference, estimate, sample_rate):
    reference -= reference.mean() + 0.5
    estimate.mul_(0)
    return float(reference.abs().max())


METRICS = {"loudest": Metric("loudest", loudest, None, "higher", 2, "peak, computed in place")}
"""


def test_a_metric_that_works_in_place_changes_no_other_score(
    material: tuple[Path, Path], tmp_path: Path
):
    (tmp_path / "plugin.py").write_text(IN_PLACE)
    scores = []
    for number, metrics in enumerate((["mstft"], ["loudest", "mstft"])):
        summary = evaluate_folders(
            material[0],
            {"s": material[1]},
            tmp_path / f"out{number}",
            metrics,
            jobs=1,
            progress=False,
            cache=None,
            plugins=[f"{tmp_path / 'plugin.py'}:METRICS"],
        )
        assert summary.failures == 0
        with (tmp_path / f"out{number}" / "utterances.csv").open(newline="") as file:
            scores.append([row["mstft"] for row in csv.DictReader(file)])
    assert scores[0] == scores[1]
    assert all(scores[0])
