"""Whole evaluations of folders on disk, with all kinds of errors in them."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch

from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.data.audio import read_audio, write_audio
from vocoder.errors import VocoderError
from vocoder.evaluation import registry
from vocoder.evaluation.alignment import DEFAULT_MAX_LENGTH_DIFFERENCE_S
from vocoder.evaluation.folders import evaluate_folders
from vocoder.evaluation.registry import DEFAULT_METRICS, METRICS, resolve_columns
from vocoder.evaluation.summary import Summary, format_comparisons, format_table
from vocoder.metrics.f0 import f0_errors
from vocoder.metrics.mel_distance import mel_distance
from vocoder.metrics.mstft import mstft
from vocoder.metrics.pesq import pesq_wb
from vocoder.metrics.signals import lowpass_7k

pytestmark = pytest.mark.slow

FAST = ("mstft", "voicing_error")


def save(path: Path, signal: np.ndarray, rate: int = RATE) -> Path:
    write_audio(path, torch.from_numpy(np.asarray(signal, dtype=np.float32)), rate)
    return path


def table(output: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (output / "utterances.csv").open(newline="") as file:
        return {(row["system"], row["utterance"]): row for row in csv.DictReader(file)}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A recording folder with two utterances, a system with both, and an output."""
    reference, system = tmp_path / "reference", tmp_path / "system"
    for number, name in enumerate(("one", "deep/er/two")):
        clean = speech_like(cents=200 * number, seed=number)
        save(reference / f"{name}.wav", clean)
        save(system / f"{name}.wav", with_noise(clean, 25 - 10 * number))
    return reference, system, tmp_path / "output"


def test_scores_are_those_of_the_files_on_disk(folders):
    reference, system, output = folders
    summary = evaluate_folders(reference, {"noisy": system}, output, jobs=1, command="as typed")
    rows = table(output)
    assert set(rows) == {("noisy", "one"), ("noisy", "deep/er/two")}
    for (_, name), row in rows.items():
        pair = [read_audio(folder / f"{name}.wav").waveform for folder in (reference, system)]
        f0 = f0_errors(*pair, RATE)
        expected = {
            "pesq": pesq_wb(*pair, RATE),
            "mstft": mstft(*pair, RATE),
            "mel_distance": mel_distance(*pair, RATE),
            "f0_rmse_cents": f0.rmse_cents,
            "voicing_error": f0.voicing_error,
        }
        assert {key: float(row[key]) for key in expected} == pytest.approx(expected, rel=1e-5)
        assert float(row["duration_s"]) == 3.0
        assert row["error"] == row["note"] == ""
    stored = json.loads((output / "summary.json").read_text())
    for metric in DEFAULT_METRICS:
        values = [float(row[metric]) for row in rows.values()]
        score = stored["systems"]["noisy"]["scores"][metric]
        assert score["mean"] == pytest.approx(np.mean(values), rel=1e-5)
        assert min(values) - 1e-4 <= score["low"] <= score["mean"] <= score["high"]
        assert score["high"] <= max(values) + 1e-4
        assert (score["n"], score["failures"]) == (2, 0)
    assert stored["command"] == "as typed"
    assert stored["metrics"]["mstft"]["convention"].startswith("M-STFT as auraloss")
    assert stored["versions"]["pesq"]
    assert summary.failures == 0
    assert Summary.model_validate(stored) == summary


def test_worker_processes_give_what_one_process_gives(folders):
    reference, system, output = folders
    evaluate_folders(reference, {"a": system, "b": reference}, output / "1", FAST, jobs=1)
    evaluate_folders(reference, {"a": system, "b": reference}, output / "2", FAST, jobs=2)
    for name in ("utterances.csv", "summary.json"):
        assert (output / "1" / name).read_text() == (output / "2" / name).read_text()
    assert float(table(output / "1")["b", "one"]["mstft"]) == 0.0


def test_copies_of_the_recordings_are_known_by_what_is_scored(folders, tmp_path):
    reference, noisy, output = folders
    systems = {"noisy": noisy}
    for name in ("same", "flac", "late", "partly", "quieter", "nothing"):
        systems[name] = tmp_path / name
        for path in reference.rglob("*.wav"):
            target = systems[name] / path.relative_to(reference)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            samples, rate = soundfile.read(path, dtype="int16")
            if name == "flac":
                target.unlink()
                soundfile.write(target.with_suffix(".flac"), samples, rate)
            if name == "late":
                soundfile.write(target, np.concatenate([np.zeros(100, np.int16), samples]), rate)
            if name == "quieter" or (name, path.stem) == ("partly", "two"):
                samples[12345] -= 1
                soundfile.write(target, samples, rate)
            if name == "nothing":
                target.write_bytes(b"no sound")
    # A file that is missing or bad is no reason to take the rest of a copy for another system.
    (systems["same"] / "deep" / "er" / "two.wav").unlink()
    summary = evaluate_folders(reference, systems, output, ("mstft",), jobs=1)
    copies = {name for name, system in summary.systems.items() if system.copy_of_reference}
    assert copies == {"same", "flac", "late"}
    assert {"same", "flac", "late"}.isdisjoint({c.a for c in summary.comparisons})
    assert len(summary.comparisons) == 4 * 3 / 2
    assert "same and flac and late are copies of the reference" in format_comparisons(summary)
    # As found where the delay is not looked for: another waveform.
    summary = evaluate_folders(reference, systems, output, ("mstft",), jobs=1, max_delay_ms=0)
    assert not summary.systems["late"].copy_of_reference


def test_a_recording_and_one_system_leave_nothing_to_compare_but_say_so(folders):
    reference, system, output = folders
    systems = {"recording": reference, "noisy": system}
    summary = evaluate_folders(reference, systems, output, ("mstft",), jobs=1)
    assert summary.comparisons == ()
    assert format_comparisons(summary).endswith(
        "\n\nrecording is a copy of the reference, sample for sample, and compared on metrics "
        "without a reference only.\n"
    )
    alone = evaluate_folders(reference, {"noisy": system}, output, ("mstft",), jobs=1)
    assert format_comparisons(alone) == ""


def test_a_bad_a_missing_a_short_and_a_surplus_file_each_make_one_error_row(folders):
    reference, system, output = folders
    for name in ("bad", "missing", "short", "empty"):
        save(reference / f"{name}.wav", speech_like())
    (system / "bad.wav").write_bytes(b"no audio at all")
    save(system / "short.wav", speech_like()[:-9600])
    soundfile.write(system / "empty.wav", np.zeros(0), RATE)
    save(system / "surplus.wav", speech_like())
    summary = evaluate_folders(reference, {"s": system}, output, FAST, jobs=1)
    rows = table(output)
    errors = {name: row["error"] for (_, name), row in rows.items() if row["error"]}
    assert set(errors) == {"bad", "missing", "short", "empty", "surplus"}
    assert str(system / "bad.wav") in errors["bad"]
    assert errors["missing"] == "missing in this system"
    assert errors["surplus"] == "missing in the reference folder"
    assert (
        "reference 3.000 s, system 2.400 s, allowed 0.5 s (--max-length-difference)"
        in errors["short"]
    )
    assert all(rows["s", name][metric] == "" for name in errors for metric in FAST)
    score = summary.systems["s"].scores["mstft"]
    assert (score.n, score.failures, summary.failures) == (2, 5, 5)
    assert all(line.startswith("s/") for line in summary.problems)
    assert "(5 failed)" in format_table(summary)


def test_a_failing_metric_empties_one_cell_and_the_run_goes_on(folders, monkeypatch):
    reference, system, output = folders

    def broken(reference, estimate, sample_rate):
        raise ZeroDivisionError("in foreign\ncode")

    metric = registry.Metric("broken", broken, None, "lower", 2, "none")
    monkeypatch.setitem(METRICS, "broken", metric)
    silent = save(reference / "silent.wav", np.zeros(RATE))
    save(system / "silent.wav", np.zeros(RATE))
    metrics = ("broken", "pesq", "f0_rmse_cents", "mstft")
    summary = evaluate_folders(reference, {"s": system}, output, metrics, jobs=1)
    rows = table(output)
    assert rows["s", "one"]["error"] == "broken: ZeroDivisionError: in foreign code"
    assert float(rows["s", "one"]["pesq"]) > 1.0
    row = rows["s", silent.stem]
    assert (row["broken"], row["pesq"], row["f0_rmse_cents"], row["mstft"]) == ("", "", "", "")
    assert "pesq: PESQ finds no speech" in row["error"]
    assert "f0_rmse_cents: no frame is voiced in both signals" in row["error"]
    broken_score = summary.systems["s"].scores["broken"]
    assert (broken_score.mean, broken_score.low, broken_score.failures) == (None, None, 3)
    assert "| – |" in format_table(summary)


def test_other_rates_are_resampled_and_small_differences_cropped_and_said(folders):
    reference, system, output = folders
    clean = read_audio(system / "one.wav").waveform.numpy()
    save(system / "one.wav", soxr.resample(clean, RATE, 24000, quality="VHQ"), 24000)
    two = system / "deep/er/two.wav"
    longer = np.concatenate([read_audio(two).waveform.numpy(), np.zeros(256, np.float32)])
    evaluate_folders(reference, {"before": system}, output / "0", FAST, jobs=1)
    before = table(output / "0")["before", "deep/er/two"]["mstft"]
    save(two, longer)
    evaluate_folders(reference, {"s": system}, output, FAST, jobs=1)
    rows = table(output)
    assert rows["s", "one"]["note"] == "resampled from 24000 to 16000 Hz"
    assert rows["s", "deep/er/two"]["note"] == (
        "longer than the reference by 256 samples (16.0 ms), cropped"
    )
    assert rows["s", "deep/er/two"]["mstft"] == before
    assert all(row["error"] == "" for row in rows.values())


@pytest.mark.parametrize(("beyond", "fails"), [(0, False), (1, True)])
def test_the_bound_on_durations_is_exact(folders, beyond, fails):
    reference, system, output = folders
    bound = round(DEFAULT_MAX_LENGTH_DIFFERENCE_S * RATE)
    save(system / "one.wav", speech_like()[: -bound - beyond])
    evaluate_folders(reference, {"s": system}, output, ("mstft",), jobs=1)
    assert bool(table(output)["s", "one"]["error"]) == fails


def test_to_7_khz_columns_score_low_passed_signals(folders):
    reference, system, output = folders
    evaluate_folders(
        reference, {"s": system}, output, ("mstft", "voicing_error"), lowpass_7k=True, jobs=1
    )
    row = table(output)["s", "one"]
    pair = [read_audio(folder / "one.wav").waveform for folder in (reference, system)]
    expected = mstft(*(lowpass_7k(x, RATE) for x in pair), RATE)
    assert list(row)[4:7] == ["mstft", "mstft_7k", "voicing_error"]
    assert float(row["mstft_7k"]) == pytest.approx(expected, rel=1e-5)
    assert float(row["mstft_7k"]) != float(row["mstft"])


def test_only_the_utterances_named(folders):
    reference, system, output = folders
    evaluate_folders(reference, {"s": system}, output, FAST, utterances=["one"], jobs=1)
    assert set(table(output)) == {("s", "one")}
    with pytest.raises(VocoderError, match="utterance 'three' is neither"):
        evaluate_folders(reference, {"s": system}, output, FAST, utterances=["three"])


def test_columns_of_one_measurement_are_measured_once(folders, monkeypatch):
    reference, system, output = folders
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return f0_errors(*arguments)

    for name in ("f0_rmse_cents", "gross_pitch_error", "voicing_error"):
        changed = dataclasses.replace(METRICS[name], measure=counted)
        monkeypatch.setitem(METRICS, name, changed)
    names = ("f0_rmse_cents", "gross_pitch_error", "voicing_error")
    evaluate_folders(reference, {"s": system}, output, names, jobs=1)
    assert len(calls) == 2


def test_what_cannot_start_says_why_and_writes_nothing(folders, tmp_path):
    reference, system, output = folders
    with pytest.raises(VocoderError, match="no metric 'pesk'; did you mean pesq"):
        evaluate_folders(reference, {"s": system}, output, ["pesk"])
    with pytest.raises(VocoderError, match="nowhere: no such folder"):
        evaluate_folders(reference, {"s": tmp_path / "nowhere"}, output)
    (tmp_path / "hollow").mkdir()
    with pytest.raises(VocoderError, match="hollow"):
        evaluate_folders(tmp_path / "hollow", {"s": system}, output)
    with pytest.raises(VocoderError, match="no system"):
        evaluate_folders(reference, {}, output)
    with pytest.raises(VocoderError, match="jobs"):
        evaluate_folders(reference, {"s": system}, output, jobs=0)
    soundfile.write(system / "one.flac", speech_like(), RATE)
    with pytest.raises(VocoderError, match=r"one\.wav.*same utterance|one\.flac.*same utterance"):
        evaluate_folders(reference, {"s": system}, output)
    assert not output.exists()


def test_a_missing_extra_is_said_before_the_run(folders, monkeypatch):
    reference, system, output = folders
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(VocoderError, match=r"vocoder\[evaluate\]"):
        evaluate_folders(reference, {"s": system}, output, ["mstft", "dnsmos_p808"])
    assert not output.exists()


def test_an_output_that_is_a_file_is_a_clear_error(folders):
    reference, system, output = folders
    output.write_text("in the way")
    with pytest.raises(VocoderError, match="cannot be made"):
        evaluate_folders(reference, {"s": system}, output, FAST)


def test_default_metrics_need_no_extra():
    assert [column.name for column in resolve_columns(DEFAULT_METRICS)] == list(DEFAULT_METRICS)
    assert all(METRICS[name].ready is None for name in DEFAULT_METRICS)


def test_the_table_reads_as_markdown(folders):
    reference, system, output = folders
    summary = evaluate_folders(reference, {"a": system, "b": reference}, output, FAST, jobs=1)
    lines = format_table(summary).splitlines()
    assert lines[0] == "| system | utterances | M-STFT ↓ | V/UV error ↓ |"
    assert lines[1] == "| --- | ---: | ---: | ---: |"
    assert lines[2].startswith("| a | 2 | ")
    assert lines[3] == "| b | 2 | 0.000 [0.000, 0.000] | 0.0000 [0.0000, 0.0000] |"
    assert "95 % percentile bootstrap" in lines[5]
    assert sum(line.startswith("- ") for line in lines) == 2
    assert not any(line.startswith("- ") for line in format_table(summary, False).splitlines())


def test_the_console_gets_the_comparisons_with_the_best_and_a_file_gets_all(folders, tmp_path):
    reference, _, output = folders
    clean = speech_like()
    for path in reference.rglob("*.wav"):
        path.unlink()
    systems = {f"at{snr}": tmp_path / f"at{snr}" for snr in (30, 20, 10)} | {"copy": reference}
    for number in range(8):
        save(reference / f"{number}.wav", clean[number * 4000 :][:16000])
        for name, folder in systems.items():
            if name != "copy":
                noisy = with_noise(clean, float(name[2:]), seed=number)
                save(folder / f"{number}.wav", noisy[number * 4000 :][:16000])
    summary = evaluate_folders(reference, systems, output, ("mstft", "lsd"), jobs=1)
    assert summary.best("mstft") == summary.best("lsd") == "at30"
    assert summary.too_few == ""
    text = format_comparisons(summary, only_best=True)
    assert text.startswith("Paired comparisons with the best system of each metric (")
    sentences = [line for line in text.splitlines() if line.startswith("- ")]
    assert [line.split(" by ")[0] for line in sentences] == [
        f"- at30 better than {other} on {metric}"
        for metric in ("M-STFT", "LSD (dB)")
        for other in ("at20", "at10")
    ]
    everything = (output / "comparisons.txt").read_text()
    assert everything == format_comparisons(summary)
    assert set(sentences) < set(everything.splitlines())
    assert len([line for line in everything.splitlines() if line.startswith("- ")]) == 6
    # With five of them nothing can be shown: one sentence in place of all pairs.
    few = evaluate_folders(
        reference, systems, output, ("mstft", "lsd"), jobs=1, utterances=list("01234")
    )
    said = (
        "n = 5: too few to show any difference (smallest possible p 0.0625, 0.38 adjusted for 6 "
        "comparisons, and below 0.05 is called one); with 8 utterances it is possible.\n"
    )
    assert few.too_few + ".\n" == said
    text = format_comparisons(few, only_best=True)
    assert said in text
    assert not any(line.startswith("- ") for line in text.splitlines())
    assert "copy is a copy of the reference" in text
    assert few.comparisons[0].sentence in (output / "comparisons.txt").read_text()
    # A single system leaves no comparisons of an earlier run behind.
    evaluate_folders(reference, {"at10": systems["at10"]}, output, ("mstft",), jobs=1)
    assert not (output / "comparisons.txt").exists()
