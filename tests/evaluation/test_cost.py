"""Costs against computations and functions whose costs are known."""

import time

import pytest
import torch
from torch import nn

from vocoder.errors import VocoderError
from vocoder.evaluation.cost import (
    count_macs,
    count_parameters,
    fft_macs,
    measure_cost,
    measure_memory,
)

pytestmark = pytest.mark.slow

MEL = torch.zeros(2, 80, 50)


class Spectral(nn.Module):
    """One real transform, one inverse, one complex one, in a row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.fft(torch.fft.rfft(x, n=512), n=256)
        return torch.fft.irfft(spectrum, n=1024)


def test_convolutions_and_products_are_counted():
    network = nn.Sequential(nn.Conv1d(80, 16, 5, padding=2), nn.ReLU(), nn.Conv1d(16, 4, 1))
    assert count_macs(network, MEL) == 2 * 50 * (80 * 16 * 5 + 16 * 4)
    assert count_macs(nn.Linear(50, 7), MEL) == 2 * 80 * 50 * 7
    assert count_macs(nn.GRU(50, 6), MEL) == pytest.approx(2 * 80 * 3 * 6 * (50 + 6))


def test_transforms_are_counted():
    rows = 2 * 80
    expected = rows * (fft_macs(512) + fft_macs(256, real=False) + fft_macs(1024))
    assert count_macs(Spectral(), MEL) == pytest.approx(expected, rel=1e-6)


def test_short_time_transforms_are_counted():
    def analyse(x: torch.Tensor) -> torch.Tensor:
        frames = torch.stft(x[0], 64, 16, window=torch.hann_window(64), return_complex=True)
        return torch.istft(frames, 64, 16, window=torch.hann_window(64))

    frames = 1 + 1600 // 16
    counted = count_macs(analyse, torch.zeros(1, 1, 1600))
    assert counted == pytest.approx(2 * frames * fft_macs(64), rel=1e-6)


def test_real_time_factor_is_time_over_audio():
    def slow(mel: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)
        return torch.zeros(2, 800)

    cost = measure_cost(slow, MEL, sample_rate=16000, repeats=3, memory=False)
    assert cost.audio_s == pytest.approx(0.1)
    assert 0.02 <= cost.seconds < 0.2
    assert cost.real_time_factor == pytest.approx(cost.seconds / 0.1)
    assert (cost.parameters, cost.macs_per_second, cost.memory) == (0, 0.0, None)


def test_threads_hold_for_the_calls_and_are_restored():
    seen = []

    def look(mel: torch.Tensor) -> torch.Tensor:
        seen.append((torch.get_num_threads(), torch.is_grad_enabled()))
        return mel

    before = torch.get_num_threads()
    measure_cost(look, MEL, 16000, threads=before + 1, memory=False)
    assert set(seen) == {(before + 1, False)}
    assert torch.get_num_threads() == before


def test_macs_are_per_second_of_audio_and_parameters_are_counted():
    network = nn.Conv1d(80, 320, 1)
    cost = measure_cost(network, MEL, 16000, memory=False)
    assert cost.audio_s == 2 * 320 * 50 / 16000
    assert cost.macs_per_second == pytest.approx(80 * 16000)
    assert cost.parameters == count_parameters(network) == 80 * 320 + 320


def test_memory_is_what_the_call_needs():
    # The result alone has 100 MiB.
    length = 100 * 2**20 // (2 * 80 * 4)
    memory = measure_memory(nn.Upsample(size=length), MEL)
    assert 100 * 2**20 <= memory.increase < 140 * 2**20
    assert memory.peak > memory.increase + 50 * 2**20


def test_what_cannot_be_measured_is_said():
    with pytest.raises(VocoderError, match="cannot be sent to another process"):
        measure_memory(lambda mel: mel, MEL)
    with pytest.raises(VocoderError, match="gave no samples"):
        measure_cost(lambda mel: mel[:0], MEL, 16000, memory=False)
    with pytest.raises(VocoderError, match="at least 1"):
        measure_cost(nn.Identity(), MEL, 16000, threads=0, memory=False)
