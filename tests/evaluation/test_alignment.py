"""Constant delays on real recordings: sample-accurate, distinguished from other phases, limited."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from scipy.signal import butter, sosfiltfilt

from vocoder.data.audio import Audio, read_audio, write_audio
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.alignment import (
    LONGEST_SEARCH_MS,
    SHORTEST_S,
    UNTELLABLE_MS,
    Delay,
    align,
    find_delay,
    match_level,
    remove_delay,
)
from vocoder.evaluation.folders import evaluate_folders
from vocoder.features.mel import MelSpec
from vocoder.metrics.level import level_difference
from vocoder.metrics.mstft import mstft
from vocoder.models.classical import griffin_lim
from vocoder.models.world import World

RATE = 16000
UTTERANCES = ("test/it_dir-firstlast", "test/ru_followme_sorry", "train/en_conf-now-recording")
ABOUT = round(0.002 * RATE)
SPEC = MelSpec(
    sample_rate=RATE, n_fft=1024, hop_length=256, win_length=1024, n_mels=80, f_min=0.0, f_max=8e3
)


def recording(name: str, folder: Path) -> torch.Tensor:
    return read_audio(folder / "wavs" / f"{name}.wav").waveform


def delayed(waveform: torch.Tensor, samples: int) -> torch.Tensor:
    """Later by `samples`, or earlier: a file that starts too late or too soon."""
    return torch.cat([torch.zeros(max(samples, 0)), waveform[max(-samples, 0) :]])


def through_opus(waveform: torch.Tensor) -> torch.Tensor:
    """The lowest rate that the encoder has, about 6 kbit/s."""
    file = io.BytesIO()
    soundfile.write(
        file, waveform.numpy(), RATE, format="OGG", subtype="OPUS", compression_level=0.99
    )
    file.seek(0)
    decoded, rate = soundfile.read(file, dtype="float32")
    return torch.from_numpy(soxr.resample(decoded, rate, RATE)[: len(waveform)])


def low_passed(waveform: torch.Tensor) -> torch.Tensor:
    filtered = sosfiltfilt(butter(8, 3500, fs=RATE, output="sos"), waveform.numpy())
    return torch.from_numpy(filtered.astype(np.float32))


def noisy(waveform: torch.Tensor) -> torch.Tensor:
    """White noise 10 dB below the speech."""
    generator = torch.Generator().manual_seed(0)
    return waveform + 0.316 * waveform.std() * torch.randn(len(waveform), generator=generator)


def quieter(waveform: torch.Tensor) -> torch.Tensor:
    return 0.3 * waveform


KEEP_PHASES = {f.__name__: f for f in (torch.clone, through_opus, low_passed, noisy, quieter)}


def vocoded(waveform: torch.Tensor) -> torch.Tensor:
    """Griffin-Lim from the mel: the same utterance with phases of its own."""
    mel = SPEC.mel(waveform[None])
    generator = torch.Generator().manual_seed(0)
    return griffin_lim(mel, SPEC, 20, generator=generator)[0, : len(waveform)]


def through_world(waveform: torch.Tensor) -> torch.Tensor:
    return World.analyse(waveform, RATE).synthesise()


CHANGE_PHASES = {f.__name__: f for f in (vocoded, through_world)}


def table(output: Path) -> dict[str, dict[str, str]]:
    with (output / "utterances.csv").open(newline="") as file:
        return {row["utterance"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", UTTERANCES)
@pytest.mark.parametrize("degradation", KEEP_PHASES)
def test_known_delays_are_found_to_the_sample(tiny_corpus, name, degradation):
    reference = recording(name, tiny_corpus)
    degraded = KEEP_PHASES[degradation](reference)
    for samples in (0, 1, -1, 37, -512, 800):
        assert find_delay(reference, delayed(degraded, samples), RATE) == Delay(samples)


@pytest.mark.parametrize("name", UTTERANCES)
@pytest.mark.parametrize("vocoder", CHANGE_PHASES)
def test_other_phases_are_no_delay_and_hide_none(tiny_corpus, name, vocoder):
    reference = recording(name, tiny_corpus)
    estimate = CHANGE_PHASES[vocoder](reference)
    assert find_delay(reference, estimate, RATE) == Delay(0)
    for samples in (-300, 160, 800):
        found = find_delay(reference, delayed(estimate, samples), RATE)
        assert found.samples == pytest.approx(samples, abs=ABOUT)
        assert not found.exact


def test_a_small_delay_under_other_phases_is_left(tiny_corpus):
    reference = recording(UTTERANCES[0], tiny_corpus)
    small = round(UNTELLABLE_MS / 1000 * RATE) // 3
    assert find_delay(reference, delayed(vocoded(reference), small), RATE) == Delay(0)


def test_another_utterance_noise_and_silence_have_no_delay(tiny_corpus):
    reference = recording(UTTERANCES[0], tiny_corpus)
    noise = 0.1 * torch.randn(len(reference), generator=torch.Generator().manual_seed(1))
    others = [recording(name, tiny_corpus) for name in UTTERANCES[1:]]
    for other in (*others, noise, torch.zeros(len(reference))):
        shorter = min(len(reference), len(other))
        assert find_delay(reference[:shorter], other[:shorter], RATE) == Delay(0)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_other_rates(tiny_corpus, rate):
    reference = recording(UTTERANCES[1], tiny_corpus).numpy()
    resampled = torch.from_numpy(soxr.resample(reference, RATE, rate))
    assert find_delay(resampled, delayed(resampled, 77), rate) == Delay(77)


def test_short_pieces(tiny_corpus):
    word = recording(UTTERANCES[0], tiny_corpus)[12000:]
    shortest = round(SHORTEST_S * RATE)
    assert find_delay(word[:8000], delayed(word[:8000], 37)[:8000], RATE) == Delay(37)
    for samples in (0, 1, 10, shortest - 1):
        assert find_delay(word[:samples], delayed(word[:samples], 5), RATE) == Delay(0)


@pytest.mark.parametrize("samples", [37, -37])
def test_what_is_left_starts_together(tiny_corpus, samples):
    reference = recording(UTTERANCES[0], tiny_corpus)
    estimate = delayed(reference, samples)
    first, second, notes = align(Audio(reference, RATE), Audio(estimate, RATE), 10.0)
    assert torch.equal(first.waveform, second.waveform)
    assert len(first.waveform) == len(reference) - max(-samples, 0)
    # Length differences explained by the delay do not count.
    where = "delayed" if samples > 0 else "ahead"
    assert notes == (f"{where} by 37 samples, aligned",)


@pytest.mark.parametrize("name", UTTERANCES)
def test_leading_silence_is_a_delay_and_no_difference_in_length(tiny_corpus, name):
    reference = recording(name, tiny_corpus)
    leading = round(0.15 * RATE)
    for estimate, exact in ((low_passed(reference), True), (vocoded(reference), False)):
        pair = Audio(reference, RATE), Audio(delayed(estimate, leading), RATE)
        # The lengths agree without the delay, whatever the limit.
        first, second, notes = align(*pair, max_delay_ms=200.0, max_length_difference_s=0.002)
        assert len(second.waveform) == pytest.approx(len(reference), abs=ABOUT)
        assert len(first.waveform) == len(second.waveform)
        if exact:
            assert notes == ("delayed by 2400 samples, aligned",)
            assert torch.equal(first.waveform, reference)
            assert torch.equal(second.waveform, estimate)
        with pytest.raises(AudioError, match=r"\(1[45]\d\.\d ms\), allowed 50 ms \(--max-delay-ms"):
            align(*pair)


@pytest.mark.parametrize("trailing_s", [0.052, 0.4])
@pytest.mark.parametrize("late", [0, 160])
def test_trailing_silence_is_cut_with_and_without_a_delay(tiny_corpus, trailing_s, late):
    reference = recording(UTTERANCES[1], tiny_corpus)
    extra = round(trailing_s * RATE)
    for estimate in (low_passed(reference), vocoded(reference)):
        longer = torch.cat([delayed(estimate, late), torch.zeros(extra)])
        first, second, notes = align(Audio(reference, RATE), Audio(longer, RATE))
        assert len(first.waveform) == len(second.waveform) == len(reference)
        assert len(notes) == (2 if late else 1)
        cut = int(notes[-1].split()[5])
        assert notes[-1] == (
            f"longer than the reference by {cut} samples ({1000 * cut / RATE:.1f} ms), cropped"
        )
        assert cut == pytest.approx(extra, abs=ABOUT if late else 0)
        start = len(longer) - cut - len(reference)
        assert torch.equal(second.waveform, longer[start : start + len(reference)])


def test_an_end_that_a_delay_pushed_out_is_no_difference_in_length(tiny_corpus):
    reference = recording(UTTERANCES[0], tiny_corpus)
    late = delayed(reference, 400)
    # As long as the recording, a little longer, or whole: always the delay alone.
    for length in (len(reference), len(reference) + 150, len(late)):
        pair = Audio(reference, RATE), Audio(late[:length], RATE)
        first, second, notes = align(*pair, max_length_difference_s=0.0)
        assert notes == ("delayed by 400 samples, aligned",)
        assert torch.equal(first.waveform, second.waveform)
    with pytest.raises(AudioError, match=r"by 0\.025 s: .* 0 s \(--max-length-difference\)"):
        align(pair[0], Audio(late[: len(reference) - 400], RATE), max_length_difference_s=0.0)


def test_more_than_any_delay_explains_is_refused_before_the_search(tiny_corpus, monkeypatch):
    reference = recording(UTTERANCES[0], tiny_corpus)
    monkeypatch.setattr("vocoder.evaluation.alignment.find_delay", lambda *_: pytest.fail("search"))
    longer = torch.cat([reference, torch.zeros(RATE)])
    with pytest.raises(
        AudioError, match=r"durations differ by 1\.000 s: reference .* allowed 0\.5"
    ):
        align(Audio(reference, RATE), Audio(longer, RATE))


@pytest.mark.parametrize("gain_db", [-12.0, 3.2])
def test_levels_are_matched_by_one_gain_and_measured_without_it(tiny_corpus, tmp_path, gain_db):
    reference = 0.5 * recording(UTTERANCES[0], tiny_corpus)
    for name, waveform in (("r", reference), ("s", 10 ** (gain_db / 20) * low_passed(reference))):
        write_audio(tmp_path / name / "a.wav", waveform, RATE)
    folders, metrics = (tmp_path / "r", {"s": tmp_path / "s"}), ("mstft", "level_difference")
    evaluate_folders(*folders, tmp_path / "as_is", metrics, jobs=1, progress=False)
    summary = evaluate_folders(
        *folders, tmp_path / "matched", metrics, jobs=1, progress=False, match_level=True
    )
    as_is, matched = (table(tmp_path / name)["a"] for name in ("as_is", "matched"))
    first, second = (read_audio(tmp_path / name / "a.wav").waveform for name in ("r", "s"))
    rms_1, rms_2 = (float(x.double().square().mean().sqrt()) for x in (first, second))
    level_db = 20 * math.log10(rms_2 / rms_1)
    assert level_db == pytest.approx(gain_db, abs=0.5)
    assert as_is["note"] == f"level {level_db:+.1f} dB"
    assert matched["note"] == f"level {level_db:+.1f} dB, matched"
    # The level is that of the file in both.
    assert as_is["level_difference"] == matched["level_difference"]
    assert float(as_is["level_difference"]) == pytest.approx(abs(level_db), rel=1e-5)
    expected = mstft(first, second / 10 ** (level_db / 20), RATE)
    assert float(matched["mstft"]) == pytest.approx(expected, rel=1e-3)
    assert float(as_is["mstft"]) == pytest.approx(mstft(first, second, RATE), rel=1e-5)
    assert "one gain to its recording's RMS" in summary.alignment


def test_a_level_that_is_right_is_not_noted_and_silence_is_said(tiny_corpus):
    reference = Audio(recording(UTTERANCES[0], tiny_corpus), RATE)
    same, notes = match_level(reference, reference)
    assert notes == ()
    assert torch.equal(same.waveform, reference.waveform)
    nearly = Audio(0.996 * reference.waveform, RATE)
    matched, notes = match_level(reference, nearly)
    assert notes == ()
    assert torch.allclose(matched.waveform, reference.waveform, atol=1e-6)
    silent = Audio(torch.zeros_like(reference.waveform), RATE)
    assert match_level(reference, silent) == (
        silent, ("level not matched: one of the two is silent",)
    )  # fmt: skip


def test_the_level_difference_is_that_of_the_gain_and_undefined_for_silence(tiny_corpus):
    reference = recording(UTTERANCES[0], tiny_corpus)
    for gain_db in (-20.0, -0.3, 0.0, 6.0):
        found = level_difference(reference, 10 ** (gain_db / 20) * reference, RATE)
        assert found == pytest.approx(abs(gain_db), abs=1e-5)
    assert np.isnan(level_difference(reference, torch.zeros_like(reference), RATE))
    with pytest.raises(AudioError, match="silent reference"):
        level_difference(torch.zeros_like(reference), reference, RATE)


def test_the_bound_is_exact_and_zero_looks_for_nothing(tiny_corpus):
    reference = recording(UTTERANCES[0], tiny_corpus)
    pair = Audio(reference, RATE), Audio(delayed(reference, 160), RATE)
    assert remove_delay(*pair, 10.0)[2] == ("delayed by 160 samples, aligned",)
    with pytest.raises(AudioError, match=r"delayed by 160 samples \(10\.0 ms\), allowed 9\.9 ms"):
        remove_delay(*pair, 9.9)
    first, second, notes = remove_delay(*pair, 0.0)
    assert (first, second, notes) == (*pair, ())


def test_the_table_says_what_was_removed_and_scores_are_those_without_it(tiny_corpus, tmp_path):
    reference = recording(UTTERANCES[1], tiny_corpus)
    degraded = low_passed(reference)
    length = len(reference)
    files = {
        "delayed": delayed(degraded, 37)[:length],
        "too_late": delayed(degraded, 1000)[:length],
        "in_time": degraded,
    }
    for name, waveform in files.items():
        write_audio(tmp_path / "reference" / f"{name}.wav", reference, RATE)
        write_audio(tmp_path / "system" / f"{name}.wav", waveform, RATE)
    folders = tmp_path / "reference", {"s": tmp_path / "system"}
    summary = evaluate_folders(*folders, tmp_path / "out", ("mstft",), jobs=1)
    rows = table(tmp_path / "out")
    assert {name: row["note"] for name, row in rows.items()} == {
        "delayed": "delayed by 37 samples, aligned",
        "too_late": "",
        "in_time": "",
    }
    assert rows["too_late"]["error"].startswith("delayed by 1000 samples (62.5 ms), allowed 50 ms")
    written = read_audio(tmp_path / "system" / "in_time.wav").waveform
    expected = mstft(reference[: length - 37], written[: length - 37], RATE)
    assert float(rows["delayed"]["mstft"]) == pytest.approx(expected, rel=1e-5)
    assert "at most 50 ms" in summary.alignment
    summary = evaluate_folders(*folders, tmp_path / "as_is", ("mstft",), jobs=1, max_delay_ms=0)
    assert summary.failures == 0
    assert "not looked for" in summary.alignment
    as_is = table(tmp_path / "as_is")
    assert as_is["in_time"] == rows["in_time"]
    assert as_is["delayed"]["note"] == as_is["too_late"]["error"] == ""
    assert float(as_is["delayed"]["mstft"]) > float(rows["delayed"]["mstft"]) + 0.05


@pytest.mark.parametrize("max_delay_ms", [-1.0, LONGEST_SEARCH_MS + 1, float("nan")])
def test_a_bound_that_cannot_be_searched_is_refused(tmp_path, max_delay_ms):
    with pytest.raises(VocoderError, match="max_delay_ms"):
        evaluate_folders(
            tmp_path, {"s": tmp_path}, tmp_path / "out", ("mstft",), max_delay_ms=max_delay_ms
        )


@pytest.mark.parametrize("seconds", [-0.1, float("inf"), float("nan")])
def test_a_limit_that_is_no_length_is_refused(tmp_path, seconds):
    with pytest.raises(VocoderError, match="max_length_difference"):
        evaluate_folders(
            tmp_path, {"s": tmp_path}, tmp_path / "out", ("mstft",), max_length_difference_s=seconds
        )
