"""F0 and voicing: recovered values, their place in time, unvoiced input, refusals."""

import math

import numpy as np
import parselmouth
import pytest
import torch
from pydantic import ValidationError

from vocoder.errors import PitchError
from vocoder.features import (
    PRESETS,
    PitchConfig,
    extract_pitch,
    interpolate_f0,
    validate_f0,
)

SAMPLE_RATE = 16000


def harmonic(f0_hz, sample_rate=SAMPLE_RATE):
    """A sum of harmonics below Nyquist with the given F0 at every sample."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / sample_rate
    signal = sum(np.cos(k * phase) / k * (k * f0_hz < 0.5 * sample_rate) for k in range(1, 20))
    return 0.3 * signal / np.abs(signal).max()


def cents(estimate_hz, truth_hz):
    return 1200.0 * np.log2(np.asarray(estimate_hz) / truth_hz)


def pitch_of(samples, hop_length=256, center_offset=0, n_frames=None, **kwargs):
    frames = len(samples) // hop_length if n_frames is None else n_frames
    waveform = torch.from_numpy(np.asarray(samples)).float()
    return extract_pitch(waveform, SAMPLE_RATE, hop_length, frames, center_offset, **kwargs)


# ---- values and times ----------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    ("hop_length", "center_offset"), [(256, 0), (256, 128), (221, 110), (80, 40)]
)
def test_a_steep_glide_is_recovered_where_it_is(hop_length, center_offset, direction):
    """Two octaves a second: half a hop of 16 ms would be 19 cents, a frame 38."""
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    truth_hz = 200.0 * 2.0 ** (direction * (2.0 * time_s - 1.0))
    pitch = pitch_of(harmonic(truth_hz), hop_length, center_offset)
    centers = np.arange(len(pitch.f0_hz)) * hop_length + center_offset
    inside = (centers > 800) & (centers < SAMPLE_RATE - 800)
    error = cents(pitch.f0_hz.numpy()[inside], truth_hz[centers[inside]])
    assert pitch.voicing.numpy()[inside].all()
    assert np.abs(error).max() < 10.0
    assert abs(error.mean()) < 2.0


@pytest.mark.parametrize("name", ["speecht5_16k", "hifigan_22k", "espnet_24k", "cosyvoice2_24k"])
def test_pitch_and_mel_share_their_frames(name):
    """The voice begins in the frame of the F0 track in which it begins in the mel."""
    spec = PRESETS[name]
    start = 20 * spec.hop_length + spec.center_offset
    samples = harmonic(np.full(40 * spec.hop_length, 150.0), spec.sample_rate)
    samples[:start] = 0.0
    waveform = torch.from_numpy(samples).float()
    pitch = extract_pitch(
        waveform, spec.sample_rate, spec.hop_length, spec.frames(len(waveform)), spec.center_offset
    )
    mel = spec.mel(waveform[None])[0]
    assert pitch.f0_hz.shape == pitch.voicing.shape == mel.shape[1:]
    assert abs(int(pitch.voicing.argmax()) - 20) <= 1


def test_voicing_edges_are_found_within_a_frame():
    samples = 1e-4 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    samples[4800:11200] += harmonic(np.full(6400, 180.0))
    voicing = pitch_of(samples).voicing.numpy()
    voiced = np.flatnonzero(voicing)
    assert voicing[voiced[0] : voiced[-1] + 1].all()
    assert abs(voiced[0] - 4800 / 256) <= 1.0
    assert abs(voiced[-1] - 11200 / 256) <= 1.0


def test_frames_are_those_of_praat_where_praat_puts_its_own_there(speech):
    """A sound so long that Praat centres its frames on multiples of the hop."""
    samples = speech(SAMPLE_RATE)
    hop_length, window = 256, 3 * SAMPLE_RATE // 60
    n_praat = (len(samples) - window) // hop_length - 1
    first = 2 * hop_length  # the first multiple that leaves room for half a window
    samples = samples[: 1 + 2 * first + (n_praat - 1) * hop_length]
    sound = parselmouth.Sound(samples, float(SAMPLE_RATE), start_time=-0.5 / SAMPLE_RATE)
    praat = sound.to_pitch_ac(
        time_step=hop_length / SAMPLE_RATE, pitch_floor=60.0, pitch_ceiling=500.0
    )
    shift = praat.x1 * SAMPLE_RATE / hop_length
    assert abs(shift - round(shift)) < 1e-6
    expected = praat.selected_array["frequency"]
    frames = slice(round(shift), round(shift) + len(expected))
    pitch = pitch_of(samples, n_frames=len(samples) // hop_length)
    voicing, f0_hz = pitch.voicing.numpy()[frames], pitch.f0_hz.numpy()[frames]
    assert 0.2 < voicing.mean() < 0.8
    assert np.array_equal(voicing > 0, expected > 0)
    assert np.abs(cents(f0_hz[voicing > 0], expected[expected > 0])).max() < 5.0


@pytest.mark.parametrize("n_frames", [1, 10, 100])
def test_any_number_of_frames_can_be_asked_for(n_frames):
    samples = harmonic(np.full(SAMPLE_RATE // 2, 150.0))
    pitch = pitch_of(samples, n_frames=n_frames)
    reference = pitch_of(samples)
    common = min(n_frames, len(reference.f0_hz)) - 3
    assert pitch.f0_hz.shape == pitch.voicing.shape == (n_frames,)
    if common > 0:
        assert np.abs(cents(pitch.f0_hz[:common], reference.f0_hz[:common].numpy())).max() < 1.0


def test_the_range_is_kept():
    samples = harmonic(np.full(SAMPLE_RATE // 2, 90.0))
    assert np.abs(cents(pitch_of(samples).f0_hz[5:-5], 90.0)).max() < 5.0
    raised = pitch_of(samples, f0_min_hz=120.0, f0_max_hz=400.0)
    assert raised.f0_hz.min() >= 120.0
    assert raised.f0_hz.max() <= 400.0


# ---- unvoiced stretches --------------------------------------------------------------------------


def test_a_whisper_is_unvoiced():
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(2 * SAMPLE_RATE)
    whisper = 0.05 * np.convolve(noise, np.hanning(5) * np.cos(np.arange(5)), mode="same")
    assert pitch_of(whisper).voicing.mean() < 0.02


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(8000),
        np.full(8000, 0.5),
        1e-3 * np.random.default_rng(2).standard_normal(600),
        harmonic(np.full(799, 200.0)),  # a sample less than three periods of 60 Hz
        np.array([0.3]),
    ],
)
def test_unvoiced_input_has_the_middle_of_the_range(samples):
    pitch = pitch_of(samples, n_frames=12)
    assert torch.equal(pitch.voicing, torch.zeros(12))
    torch.testing.assert_close(pitch.f0_hz, torch.full((12,), math.sqrt(60.0 * 500.0)))


@pytest.mark.parametrize("offset", [0.3, 0.9])
def test_a_constant_offset_is_not_heard(offset, speech):
    samples = speech(SAMPLE_RATE)
    pitch, shifted = pitch_of(samples), pitch_of(samples + offset)
    assert torch.equal(shifted.voicing, pitch.voicing)
    torch.testing.assert_close(shifted.f0_hz, pitch.f0_hz, rtol=1e-4, atol=0.0)


def test_three_periods_of_the_floor_are_enough():
    assert pitch_of(harmonic(np.full(800, 200.0)), n_frames=3).voicing.any()


def test_interpolation_against_a_slow_loop():
    rng = np.random.default_rng(5)
    raw = np.where(rng.random(200) < 0.4, rng.uniform(70.0, 400.0, 200), 0.0)
    voiced = [t for t in range(200) if raw[t] > 0]
    expected = []
    for t in range(200):
        before = [v for v in voiced if v <= t]
        after = [v for v in voiced if v >= t]
        if not before:
            expected.append(raw[after[0]])
        elif not after:
            expected.append(raw[before[-1]])
        else:
            left, right = before[-1], after[0]
            share = 0.0 if left == right else (t - left) / (right - left)
            expected.append(raw[left] ** (1.0 - share) * raw[right] ** share)
    np.testing.assert_allclose(interpolate_f0(raw, 100.0), expected, rtol=1e-12)


def test_a_pause_is_bridged_in_log_f0():
    samples = np.zeros(3 * SAMPLE_RATE // 2)
    samples[:8000] = harmonic(np.full(8000, 100.0))
    samples[16000:] = harmonic(np.full(8000, 200.0))
    pitch = pitch_of(samples)
    f0_hz, voicing = pitch.f0_hz.numpy(), pitch.voicing.numpy()
    unvoiced = np.flatnonzero(voicing == 0)
    unvoiced = unvoiced[(unvoiced > 20) & (unvoiced < 80)]
    assert len(unvoiced) > 20
    steps = np.diff(np.log(f0_hz[unvoiced]))
    assert steps.min() > 0
    assert np.ptp(steps) < 1e-4


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (torch.zeros(1, 100), r"\(samples,\)"),
        (torch.zeros(0), "empty"),
        (torch.zeros(100, dtype=torch.int16), "int16"),
        (torch.tensor([0.0, math.nan]), "sample 1"),
        (torch.tensor([math.inf, 0.0]), "sample 0"),
    ],
)
def test_bad_waveforms_are_refused(waveform, message):
    with pytest.raises(PitchError, match=message):
        extract_pitch(waveform, SAMPLE_RATE, 256, 4, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_frames": 0},
        {"hop_length": 0},
        {"center_offset": 257},
        {"f0_min_hz": 0.0},
        {"f0_min_hz": 500.0},
        {"f0_max_hz": 8001.0},
    ],
)
def test_impossible_arguments_are_refused(arguments):
    valid = {"sample_rate": SAMPLE_RATE, "hop_length": 256, "n_frames": 4, "center_offset": 0}
    with pytest.raises(PitchError):
        extract_pitch(torch.zeros(1000), **{**valid, **arguments})


def test_config_is_a_range():
    assert (PitchConfig().f0_min_hz, PitchConfig().f0_max_hz) == (60.0, 500.0)
    with pytest.raises(ValidationError, match="not below"):
        PitchConfig(f0_min_hz=500.0, f0_max_hz=60.0)


@pytest.mark.parametrize("value", [0.0, -100.0, 8000.0, 20000.0, math.nan, math.inf])
def test_f0_out_of_range_is_named(value):
    f0_hz = torch.full((2, 10), 100.0)
    validate_f0(f0_hz, SAMPLE_RATE)
    validate_f0(torch.full((3,), 7999.0), SAMPLE_RATE)
    f0_hz[1, 7] = value
    with pytest.raises(PitchError, match=f"F0 is {value:g} Hz in frame 7 of utterance 1"):
        validate_f0(f0_hz, SAMPLE_RATE)
    with pytest.raises(PitchError, match=f"F0 is {value:g} Hz in frame 7:"):
        validate_f0(f0_hz[1], SAMPLE_RATE)


def test_f0_of_another_shape_is_refused():
    for shape in [(), (0,), (1, 2, 3)]:
        with pytest.raises(PitchError, match="frames"):
            validate_f0(torch.ones(shape), SAMPLE_RATE)
