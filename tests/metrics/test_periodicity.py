import math

import librosa
import numpy as np
import pytest
import soxr
import torch
import torchcrepe

from tests.golden import networks
from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.errors import AudioError, VocoderError
from vocoder.metrics import periodicity as module
from vocoder.metrics.periodicity import (
    Track,
    compare_tracks,
    hysteresis,
    periodicity_errors,
    periodicity_errors_tiny,
    periodicity_errors_vocos,
)

pytestmark = pytest.mark.slow

NAMES = ("periodicity", "f1", "cents")


@pytest.mark.parametrize(
    ("convention", "model"), [("cargan", "full"), ("cargan", "tiny"), ("vocos", "tiny")]
)
def test_golden_values(convention, model):
    measure = {"cargan": periodicity_errors, "vocos": periodicity_errors_vocos}[convention]
    golden = networks.read()
    errors = measure(*networks.crepe_pair(), RATE, model)
    expected = [golden[f"{convention}_{model}_{name}"] for name in NAMES]
    assert errors == pytest.approx(expected, rel=1e-4)


def test_is_what_torchcrepe_gives_but_for_its_dither():
    # 2 s are 172 frames of 22.05 kHz audio, and CREPE finds 173: they are interpolated.
    clean = networks.recording("test/it_dir-firstlast")[: 2 * RATE]
    noisy = with_noise(clean, 5.0)
    expected = networks.cargan(clean, noisy, "tiny")
    assert periodicity_errors_tiny(clean, noisy, RATE) == pytest.approx(expected, rel=1e-4)


def test_other_rates_are_resampled():
    clean = networks.recording("train/fr_dictate_truncating_audio")[:RATE]
    pair = clean, with_noise(clean, 10.0)
    up = [soxr.resample(x, RATE, 24000, quality="VHQ") for x in pair]
    expected, found = periodicity_errors_tiny(*pair, RATE), periodicity_errors_tiny(*up, 24000)
    assert found.periodicity_rmse == pytest.approx(expected.periodicity_rmse, abs=0.01)
    assert found.vuv_f1 == pytest.approx(expected.vuv_f1, abs=0.02)
    assert found.f0_rmse_cents == pytest.approx(expected.f0_rmse_cents, abs=5)


def test_a_recording_with_itself_has_no_errors():
    signal = networks.recording()[:RATE]
    assert periodicity_errors_tiny(signal, signal, RATE) == (0.0, 1.0, 0.0)
    assert periodicity_errors_vocos(signal, signal, RATE, "tiny") == (0.0, 1.0, 0.0)


def test_it_is_symmetric():
    pair = networks.crepe_pair()
    assert periodicity_errors_tiny(*pair, RATE) == pytest.approx(
        periodicity_errors_tiny(*pair[::-1], RATE), rel=1e-12
    )


def test_phases_that_do_not_fit_raise_the_error():
    # What Griffin-Lim leaves of the periods after ever fewer iterations. Noise at falling SNR
    # is not ordered as surely: CREPE finds tones in faint noise.
    clean = networks.recording("test/it_dir-firstlast")[:RATE]
    magnitude = np.abs(librosa.stft(clean, n_fft=1024, hop_length=256))
    errors = []
    for iterations in (32, 2, 0):
        phased = librosa.griffinlim(
            magnitude, n_iter=iterations, hop_length=256, length=len(clean), random_state=0
        )
        errors.append(periodicity_errors_tiny(clean, phased, RATE))
    assert np.all(np.diff([error.periodicity_rmse for error in errors]) > 0.05)
    assert errors[0].vuv_f1 > errors[-1].vuv_f1 + 0.05


@pytest.mark.parametrize("cents", [-200, 40])
def test_a_shifted_f0_is_measured(cents):
    pair = speech_like()[:RATE], speech_like(cents=cents, seed=4)[:RATE]
    errors = periodicity_errors_tiny(*pair, RATE)
    # The bins are 20 cents apart.
    assert errors.f0_rmse_cents == pytest.approx(abs(cents), abs=15)


def test_a_monotone_voice_is_voiced():
    # A whole second in one bin, where the spread of F0 is zero.
    time_s = np.arange(RATE) / RATE
    buzz = sum(np.cos(2 * np.pi * 120 * k * time_s) for k in range(1, 30)).astype(np.float32) / 30
    errors = periodicity_errors_tiny(buzz, buzz, RATE)
    assert errors == (0.0, 1.0, 0.0)


def test_without_voiced_frames_only_periodicity_is_defined():
    silence = np.zeros(RATE, np.float32)
    errors = periodicity_errors_tiny(silence, silence, RATE)
    assert errors.periodicity_rmse == 0.0
    assert math.isnan(errors.vuv_f1)
    assert math.isnan(errors.f0_rmse_cents)
    against_speech = periodicity_errors_tiny(speech_like()[:RATE], silence, RATE)
    assert against_speech.vuv_f1 == 0.0
    assert against_speech.periodicity_rmse > 0.5


def test_counted_by_hand():
    f0_hz = torch.tensor([100.0, 100.0, 100.0, 100.0])
    voiced = torch.tensor([True, True, True, False])
    other = torch.tensor([True, True, False, True])
    a = Track(f0_hz, torch.tensor([0.9, 0.8, 0.7, 0.1]), voiced)
    b = Track(2 * f0_hz, torch.tensor([0.9, 0.8, 0.1, 0.7]), other)
    errors = compare_tracks(a, b)
    assert errors.periodicity_rmse == pytest.approx(math.sqrt(2 * 0.36 / 4))
    assert errors.vuv_f1 == pytest.approx(2 / 3)
    assert errors.f0_rmse_cents == pytest.approx(1200)
    with pytest.raises(AudioError, match="4 and 3 frames"):
        compare_tracks(a, Track(*(field[:3] for field in b)))


def test_hysteresis_is_torchcrepes():
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        walk = torch.randn(300, generator=draw).cumsum(0)
        f0_hz = 120 * 2 ** (0.03 * walk)
        smooth = torch.nn.functional.avg_pool1d(torch.rand(1, 308, generator=draw), 9, 1)[0]
        periodicity = (2.2 * smooth - 0.85).clamp(0, 1)
        expected = ~torch.isnan(torchcrepe.threshold.Hysteresis()(f0_hz, periodicity))[0]
        assert 10 < int(expected.sum()) < 290
        assert torch.equal(hysteresis(f0_hz, periodicity), expected)


def test_a_faint_stretch_is_dropped_but_not_at_the_start():
    f0_hz = torch.full((9,), 100.0)
    periodicity = torch.tensor([0.25, 0.25, 0.1, 0.25, 0.25, 0.1, 0.25, 0.35, 0.25])
    expected = [True, True, False, False, False, False, True, True, True]
    assert hysteresis(f0_hz, periodicity).tolist() == expected
    assert not hysteresis(f0_hz, torch.full((9,), 0.1)).any()


@pytest.mark.parametrize(
    ("measure", "samples"), [(periodicity_errors_tiny, 419), (periodicity_errors_vocos, 1023)]
)
def test_too_short_is_a_clear_error_and_one_more_is_not(measure, samples):
    signal = 0.1 * np.random.RandomState(0).randn(samples + 1).astype(np.float32)
    with pytest.raises(AudioError, match="needs at least"):
        measure(signal[:-1], signal[:-1], RATE)
    if measure is periodicity_errors_tiny:
        assert measure(signal, signal, RATE).periodicity_rmse == 0.0


def test_an_unknown_model_is_named():
    with pytest.raises(VocoderError, match="no CREPE model 'huge'; there are: full, tiny"):
        periodicity_errors(speech_like(), speech_like(), RATE, "huge")


def test_the_network_is_read_once(monkeypatch):
    periodicity_errors_tiny(*networks.crepe_pair(), RATE)
    monkeypatch.setattr(torch, "load", None)
    periodicity_errors_tiny(*networks.crepe_pair(), RATE)
    assert module._network.cache_info().currsize >= 1
