"""The likelihood under a flow against theory for Gaussian noise."""

import math

import pytest
import torch

from vocoder.losses.flow import flow_nll

SAMPLES = 200_000


def noise(scale: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(1, SAMPLES, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.5**0.5, 1.0, 2.0])
def test_noise_of_the_flows_own_deviation_costs_its_entropy(sigma):
    nats = flow_nll(noise(sigma), torch.zeros(1, dtype=torch.float64), sigma)
    assert float(nats) == pytest.approx(0.5 * math.log(2 * math.pi * math.e * sigma**2), abs=0.01)


def test_a_wrong_deviation_costs_the_divergence():
    wrong = flow_nll(noise(0.3), torch.zeros(1, dtype=torch.float64), 1.0)
    right = 0.5 * math.log(2 * math.pi * math.e * 0.3**2)
    divergence = math.log(1 / 0.3) + 0.5 * (0.3**2 - 1)
    assert float(wrong) == pytest.approx(right + divergence, abs=0.01)


def test_scaling_in_the_flow_is_paid_back_by_its_determinant():
    # z = x / 0.01 of noise at 0.01: 40 dB less cost log2(100) bits less, 16-bit steps 15 bits more.
    log_determinant = torch.full((1,), SAMPLES * math.log(100), dtype=torch.float64)
    nats = float(flow_nll(100 * noise(0.01), log_determinant))
    bits = (nats - math.log(2**-15)) / math.log(2)
    assert bits == pytest.approx(
        0.5 * math.log2(2 * math.pi * math.e) - math.log2(100) + 15, abs=0.02
    )
