import json
import math

import numpy as np
import pytest
import torch

from tests.golden import signals
from tests.metrics.golden import GOLDEN, RATE, VOICED_S, gate, golden_pair, speech_like
from vocoder.errors import AudioError
from vocoder.metrics.f0 import compare_tracks, f0_errors


def test_golden_values():
    golden = json.loads(GOLDEN.read_text())
    errors = f0_errors(*golden_pair(), RATE)
    assert errors.rmse_cents == pytest.approx(golden["f0_rmse_cents"], abs=0.1)
    assert errors.voicing_error == pytest.approx(golden["voicing_error"], abs=0.01)


def test_golden_values_on_recordings():
    golden = signals.read()
    for name, pair in signals.pairs().items():
        errors = f0_errors(*pair, RATE)
        assert errors.rmse_hz == pytest.approx(golden[name]["f0_rmse_hz"], abs=0.01), name
        assert errors.voicing_f1 == pytest.approx(golden[name]["voicing_f1"], abs=0.003), name


def test_a_signal_with_itself_has_no_errors():
    errors = f0_errors(speech_like(), speech_like(), RATE)
    assert errors[:4] == (0.0, 0.0, 0.0, 0.0)
    assert (errors.rmse_hz, errors.voicing_f1) == (0.0, 1.0)
    voiced_s = sum(end - start for start, end in VOICED_S)
    assert errors.voiced_frames == pytest.approx(100 * voiced_s, rel=0.05)


@pytest.mark.parametrize("cents", [-250, -40, 10, 100, 290])
def test_a_shifted_f0_is_measured(cents):
    errors = f0_errors(speech_like(), speech_like(cents=cents, seed=4), RATE)
    assert errors.rmse_cents == pytest.approx(abs(cents), abs=5)
    assert errors.fine_rmse_cents == pytest.approx(abs(cents), abs=5)
    assert errors.gross_pitch_error == 0.0
    assert errors.voicing_error < 0.03
    # F0 swings around 130 Hz by a quarter of an octave.
    assert errors.rmse_hz == pytest.approx(131 * abs(2 ** (cents / 1200) - 1), rel=0.03, abs=0.5)


@pytest.mark.parametrize("rate", [22050, 24000])
def test_other_rates_measure_the_same(rate):
    a, b = (speech_like(cents=cents, rate=rate) for cents in (0, 60))
    assert f0_errors(a, b, rate).rmse_cents == pytest.approx(60, abs=5)


def test_more_than_20_percent_is_gross():
    errors = f0_errors(speech_like(), speech_like(cents=500), RATE)
    assert errors.gross_pitch_error == pytest.approx(1.0, abs=0.02)


def test_a_voiced_word_turned_to_noise_is_a_voicing_error():
    signal = speech_like()
    start, end = VOICED_S[1]
    word = gate(np.arange(len(signal)) / RATE, ((start, end),))
    noise = 0.1 * np.random.RandomState(0).randn(len(signal))
    whispered = ((1 - word) * signal + word * noise).astype(np.float32)
    errors = f0_errors(signal, whispered, RATE)
    assert errors.voicing_error == pytest.approx((end - start) / 3.0, abs=0.03)
    assert errors.rmse_cents < 5


def test_without_common_voicing_only_the_voicing_error_is_defined():
    noise = 0.1 * np.random.RandomState(0).randn(3 * RATE).astype(np.float32)
    errors = f0_errors(speech_like(), noise, RATE)
    assert math.isnan(errors.rmse_cents)
    assert math.isnan(errors.gross_pitch_error)
    assert math.isnan(errors.rmse_hz)
    assert errors.voiced_frames == 0
    assert errors.voicing_f1 == 0.0
    assert errors.voicing_error == pytest.approx(2.1 / 3.0, abs=0.05)
    assert math.isnan(f0_errors(noise, noise, RATE).voicing_f1)


def test_counted_by_hand():
    f = torch.tensor([100.0, 100.0, 100.0, 100.0, 100.0])
    g = torch.tensor([200.0, 100.0, 110.0, 300.0, 300.0])
    v = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
    w = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    errors = compare_tracks(f, v, g, w)
    small = 1200 * math.log2(1.1)
    assert errors.rmse_cents == pytest.approx(math.sqrt((1200**2 + small**2) / 3))
    assert errors.fine_rmse_cents == pytest.approx(math.sqrt(small**2 / 2))
    assert errors.gross_pitch_error == pytest.approx(1 / 3)
    assert errors.voicing_error == pytest.approx(1 / 5)
    assert errors.voiced_frames == 3
    assert errors.rmse_hz == pytest.approx(math.sqrt((100**2 + 10**2) / 3))
    # Three frames voiced in both, one missed, none invented.
    assert errors.voicing_f1 == pytest.approx(2 * 3 / (2 * 3 + 1))


def test_tracks_of_different_lengths_are_refused():
    with pytest.raises(AudioError, match="3 and 4 frames"):
        compare_tracks(torch.ones(3), torch.ones(3), torch.ones(4), torch.ones(4))
