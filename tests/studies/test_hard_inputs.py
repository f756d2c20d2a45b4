"""Hard inputs: what they are, that hum and clicks are found, and the table of what was kept."""

import math
import sys

import pytest
import torch
from torch.nn.functional import avg_pool1d, max_pool1d

from studies.ablations.hard_inputs import (
    HOP,
    KEPT,
    RATE,
    SYSTEMS,
    HardInputs,
    Input,
    chords,
    creak,
    inputs,
    levelled,
    lines,
    main,
    measure,
    together,
    voice,
    whisper,
)
from studies.ablations.speech import RESULTS, Utterance
from studies.scores import read_model
from vocoder.data.audio import read_audio


@pytest.fixture(scope="module")
def utterance(tiny_corpus):
    return Utterance("ru", read_audio(tiny_corpus / "wavs" / "test" / "ru_0806.wav"))


@pytest.mark.parametrize("f0_hz", [80.0, 240.0, 800.0])
def test_a_made_voice_has_the_f0_that_is_said(f0_hz):
    given = voice(torch.full((RATE,), f0_hz))
    found = measure(given, given.recording)
    assert found.gross == 0
    assert found.f0_cents < 3
    assert (found.level_db, found.burst_db) == (0, 0)


@pytest.mark.parametrize("late_frames", [0, 1])
def test_the_f0_of_a_glide_is_that_of_its_frames(late_frames):
    # An octave in a second: 12.8 cents per frame.
    given = voice(150 * 2 ** (torch.arange(RATE) / RATE))
    late = torch.cat(
        [given.recording[:, late_frames * HOP :], torch.zeros(1, late_frames * HOP)], 1
    )
    found = measure(given, late)
    assert found.f0_cents == pytest.approx(12.8 * late_frames, abs=2)


def test_another_f0_is_an_error():
    given = voice(torch.full((RATE,), 200.0))
    sharp = voice(torch.full((RATE,), 200.0 * 2 ** (20 / 1200)))
    assert measure(given, sharp.recording).f0_cents == pytest.approx(20, abs=2)
    assert measure(given, voice(torch.full((RATE,), 400.0)).recording).gross == 1
    silent = measure(given, torch.zeros_like(given.recording))
    assert (silent.gross, silent.f0_cents, silent.voiced_copy) == (1, None, 0)


def test_whisper_has_the_envelope_and_no_voice(utterance):
    given = whisper(utterance)
    recording = levelled(utterance.at(RATE)[0, : given.recording.shape[1]])
    spoken = measure(Input(recording), given.recording)
    assert spoken.voiced > 0.3
    assert spoken.voiced_copy < 0.15
    levels = [
        (avg_pool1d(each.square(), 480) + 1e-8).log() for each in (recording, given.recording)
    ]
    assert torch.corrcoef(torch.cat(levels))[0, 1] > 0.9


def test_clicks_and_hum_are_found():
    noise = levelled(torch.randn(RATE, generator=torch.Generator().manual_seed(0)))
    given = Input(noise / 30)
    clicked = given.recording.clone()
    clicked[:, RATE // 2] += 0.5
    assert measure(given, clicked).burst_db > 15
    assert measure(given, given.recording * 1.1).burst_db == pytest.approx(0.8, abs=0.1)
    time_s = torch.arange(RATE) / RATE
    hum = sum(torch.sin(2 * math.pi * 100 * k * time_s) / k for k in range(1, 10))
    found = measure(given, given.recording + 0.01 * hum)
    assert found.voiced == 0
    assert found.voiced_copy > 0.9
    assert found.level_db > 3


def test_periods_of_creak_and_beats_of_music():
    recording = creak(0).recording[0, RATE // 10 : -RATE // 10]
    # The glottal pulses are the deepest minima: no two nearer than 9 ms, none further than 16.
    deepest = -max_pool1d(-recording[None], 2 * RATE // 111 + 1, 1, RATE // 111)[0]
    times_s = (recording == deepest).nonzero()[:, 0] / RATE
    assert (times_s.diff() > 0.009).all()
    assert times_s.diff().median() == pytest.approx(0.0125, abs=0.001)
    assert times_s.diff().std() > 0.001
    music = chords(0).recording[0].unflatten(0, (6, RATE // 2)).square()
    assert (music[:, : RATE // 50].mean(1) > 4 * music[:, -RATE // 10 :].mean(1)).all()


def test_frames_of_every_known_f0_are_the_recordings(utterance):
    for name, kinds in inputs([utterance]).items():
        for each in kinds:
            assert each.recording.abs().max() < 1.0, name
            if each.f0_hz is not None:
                assert len(each.f0_hz) == each.recording.shape[1] // HOP, name


def test_means_of_several_and_the_largest_burst():
    given = voice(torch.full((RATE,), 200.0))
    quiet = measure(given, 0.5 * given.recording)
    both = together([measure(given, given.recording), quiet])
    assert both.recordings == 2
    assert both.level_db == pytest.approx(-3.01, abs=0.01)
    assert both.burst_db == 0


def test_the_table_is_that_of_what_was_kept():
    kept = read_model(HardInputs, KEPT)
    assert tuple(kept.found) == SYSTEMS
    assert lines(kept) in RESULTS.read_text(encoding="utf-8")


def test_other_systems_do_not_take_the_place_of_what_was_kept(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hard_inputs", "--speech", "none", "--systems", "nano"])
    with pytest.raises(SystemExit):
        main()
    assert (
        "--output: name another file, hard_inputs.json holds universal" in capsys.readouterr().err
    )
