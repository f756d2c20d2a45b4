"""The systems match their specification, and errors are measured without bias."""

import pytest
import torch

from studies.filter_order import contest, signals
from studies.filter_order.learned import Network
from studies.filter_order.signals import FRAMES, LONGEST, SAMPLES, Record, causal, tract
from vocoder.dsp.filters.adaptive import nlms

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def record() -> Record:
    generator = torch.Generator().manual_seed(0)
    envelope = torch.linspace(0.2, 1.0, SAMPLES)
    speech = envelope * torch.randn(2, SAMPLES, generator=generator)
    return tract(speech, seed=0)


def test_the_noise_is_thirty_decibels_down(record):
    noise = (record.target - record.clean).square().mean(dim=1)
    torch.testing.assert_close(
        10 * torch.log10(record.clean.square().mean(dim=1) / noise),
        torch.full((2,), 30.0),
        atol=0.2,
        rtol=0,
    )


def test_causal_filtering_is_convolution_where_filters_stay():
    taps = torch.randn(1, 1, 5, generator=torch.Generator().manual_seed(0))
    pulse = torch.zeros(1, SAMPLES)
    pulse[0, 7] = 1.0
    output = causal(pulse, taps.expand(1, FRAMES, 5))
    torch.testing.assert_close(output[0, 7:12], taps[0, 0])
    assert output[0, :7].abs().max() < 1e-6


def test_the_response_of_a_standing_tract_makes_its_output(record):
    # Where every frame is the same, the filter stays and the long response is exact.
    period = torch.randn(1, signals.HOP, generator=torch.Generator().manual_seed(1))
    standing = tract(period.repeat(1, FRAMES), seed=0)
    assert contest.truncated("vocal tract", standing, LONGEST).errors_db[0] < -40
    cut = [contest.truncated("vocal tract", record, order).errors_db[0] for order in (1, 16, 1024)]
    assert cut == sorted(cut, reverse=True)


def test_side_by_side_is_one_by_one(record):
    steps = (0.1, 0.5)
    together = contest.follow("NLMS", record, 8, steps)
    for step, errors in zip(steps, together, strict=True):
        output = nlms(record.signal, record.target, 8, step, 1e-3 * 8).output
        torch.testing.assert_close(errors, contest.error_db(output, record.clean))


def test_the_network_hears_nothing_of_the_frame_it_is_for(record):
    network, hop = Network(), signals.HOP
    target = record.target.clone().requires_grad_()
    heard = Record(record.signal, record.clean, target, record.responses)
    (gradient,) = torch.autograd.grad(network.log_gain(heard)[:, 60].sum(), target)
    assert gradient[:, 60 * hop - 1 :].abs().max() < gradient.abs().max() * 1e-3
    assert gradient[:, 60 * hop :].abs().max() == 0
    assert gradient[:, 58 * hop : 60 * hop].abs().max() > 0
