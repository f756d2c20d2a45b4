"""The dereverberation study's parts on signals whose answer is known."""

import math

import pytest
import torch
from torch import Tensor

pytest.importorskip("nara_wpe")

from studies.dereverberation import classical, model
from studies.dereverberation.contest import shipped
from studies.dereverberation.measures import STEP_S, energy_response
from studies.dereverberation.rooms import (
    RATE,
    Room,
    early_to_late_db,
    response,
    reverberation_time,
)
from vocoder.dsp.rooms.reverb import fft_convolve
from vocoder.errors import VocoderError


def _bursts(seed: int = 0, seconds: float = 3.0) -> Tensor:
    """Noise that comes and goes like syllables."""
    generator = torch.Generator().manual_seed(seed)
    n = int(seconds * RATE)
    loud = (torch.rand(n // 1600, generator=generator) > 0.6).float().repeat_interleave(1600)
    return torch.randn(n, generator=generator) * (0.1 * loud + 1e-4)


def _tail(t60_s: float, direct: float = 1.0) -> Tensor:
    n = torch.arange(RATE)
    noise = torch.randn(RATE, generator=torch.Generator().manual_seed(5))
    taps = 0.04 * noise * 10 ** (-3 * n / (t60_s * RATE))
    taps[0] = direct
    return taps


def test_reverberation_time_of_an_exponential_is_its_own() -> None:
    energy = 10 ** (-6 * torch.arange(2 * RATE) / (0.4 * RATE))
    assert reverberation_time(energy, 1 / RATE) == pytest.approx(0.4, rel=1e-3)
    # 50 ms of 400: the late share is 10^(-6/8), and C50 what that leaves.
    late = 10 ** (-6 * 0.05 / 0.4)
    expected = 10 * math.log10((1 - late) / late)
    assert early_to_late_db(energy, 1 / RATE) == pytest.approx(expected, abs=0.01)


def test_an_empty_response_is_refused() -> None:
    with pytest.raises(VocoderError, match="without energy"):
        reverberation_time(torch.zeros(10), 1.0)


def test_small_room_rings_about_as_long_as_eyring_says() -> None:
    places = ((1.1, 1.0, 1.3), (2.2, 1.8, 1.1))
    room = Room("cell", 0.1, (3.0, 2.6, 2.4), {"test": places})
    taps = response(room, "test")
    assert taps.abs().argmax() == 0
    assert 0.07 < reverberation_time(taps.square(), 1 / RATE) < 0.2


@pytest.mark.parametrize("t60_s", [0.3, 0.8])
def test_energy_response_finds_the_tail(t60_s: float) -> None:
    dry = _bursts()
    wet = fft_convolve(dry[None], _tail(t60_s))[0]
    found = reverberation_time(energy_response(dry, wet), STEP_S, bottom_db=-15.0)
    assert found == pytest.approx(t60_s, rel=0.25)


def test_energy_response_of_the_dry_signal_is_at_once() -> None:
    found = energy_response(_bursts(), _bursts())
    assert found[0] > 0.999
    assert early_to_late_db(found, STEP_S) > 30


def test_prediction_error_shortens_a_tail() -> None:
    dry = _bursts()
    wet = fft_convolve(dry[None], _tail(0.5))[0]
    out = classical.weighted_prediction_error(wet, classical.WpeSettings(20, 2))
    assert out.shape == wet.shape
    before, after = (early_to_late_db(energy_response(dry, x), STEP_S) for x in (wet, out))
    assert after > before + 1


def test_cepstral_inverse_removes_an_echo() -> None:
    dry = _bursts(1)
    echo = torch.zeros(200)
    echo[0], echo[160] = 1.0, 0.5
    wet = fft_convolve(dry[None], echo)[0]
    settings = classical.CepstrumSettings(2048, 2.0, 80, 1024, 1.0)
    speech = classical.mean_cepstrum(dry[None], settings.segment, settings.fall)
    out = classical.homomorphic(wet, speech, settings)
    error, without = (out - dry).square().sum(), (wet - dry).square().sum()
    assert error < 0.2 * without


def test_no_room_leaves_the_signal_to_the_cepstrum() -> None:
    dry = _bursts(1)
    settings = classical.CepstrumSettings(2048, 2.0, 1, 1024, 1.0)
    speech = classical.mean_cepstrum(dry[None], settings.segment, settings.fall)
    assert torch.allclose(classical.homomorphic(dry, speech, settings), dry, atol=1e-5)


@pytest.mark.slow
def test_fit_in_powers_tells_long_rooms_from_short_ones() -> None:
    vocoder = shipped()
    dry = _bursts()[None]
    wets = torch.cat([fft_convolve(dry, _tail(t60_s)) for t60_s in (0.2, 0.8)])
    settings = model.Settings(0.3, 15.0, -28.0)
    unknowns = model.fit_powers(vocoder.spec, vocoder.spec.mel(wets), settings)
    short, long = unknowns.log_t60.detach().exp().mean(dim=1)
    assert short < 0.35 < 0.5 < long


@pytest.mark.slow
def test_fit_of_the_waveform_lowers_its_loss() -> None:
    wet = fft_convolve(_bursts(seconds=1.5)[None], _tail(0.4))
    settings = model.Settings(0.3, 15.0, -28.0, waveform_steps=4, step=0.1)
    found = model.fit(shipped(), wet, settings)
    assert found.dry.shape == wet.shape
    assert found.loss[-1] < found.loss[0]
