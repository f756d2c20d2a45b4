"""Losses of F0 and voicing: where their minimum lies, what they weigh, and errors in cents."""

import math

import numpy as np
import pytest
import torch

from vocoder.losses.pitch import f0_classification_loss, f0_error_cents, voicing_loss

F0_MIN, BIN_CENTS, BINS = 60.0, 20.0, 185


def track(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def target(f0_hz: float, spread: float = 25.0) -> np.ndarray:
    cents = 1200 * np.log2(f0_hz / F0_MIN)
    weights = np.exp(-((np.arange(BINS) * BIN_CENTS - cents) ** 2) / (2 * spread**2))
    return weights / weights.sum()


def loss(logits: torch.Tensor, f0_hz: torch.Tensor, voicing: torch.Tensor) -> torch.Tensor:
    return f0_classification_loss(logits, f0_hz, voicing, F0_MIN, BIN_CENTS)


@pytest.mark.parametrize("f0_hz", [60.0, 100.0, 123.4, 499.0])
def test_the_minimum_lies_at_the_right_class(f0_hz):
    right = round(1200 * math.log2(f0_hz / F0_MIN) / BIN_CENTS)
    losses = []
    for chosen in range(BINS):
        logits = torch.zeros(1, 1, BINS, dtype=torch.float64)
        logits[..., chosen] = 5.0
        losses.append(float(loss(logits, track(f0_hz), track(1.0))))
    assert int(np.argmin(losses)) == right


@pytest.mark.parametrize("f0_hz", [70.0, 123.4, 300.0])
def test_the_entropy_of_the_target_is_its_lower_bound(f0_hz):
    q = target(f0_hz)
    entropy = -(q * np.log(np.maximum(q, 1e-300))).sum()
    best = torch.from_numpy(np.log(np.maximum(q, 1e-300)))[None, None]
    assert float(loss(best, track(f0_hz), track(1.0))) == pytest.approx(entropy, rel=1e-9)
    # And no gradient there, nor anything better nearby.
    best.requires_grad_()
    loss(best, track(f0_hz), track(1.0)).backward()
    assert best.grad is not None
    assert best.grad.abs().max() < 1e-12


def test_cross_entropy_by_hand():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, BINS, generator=generator, dtype=torch.float64)
    f0, voicing = (80.0, 200.0, 333.0), (1.0, 0.0, 0.5)
    log_p = torch.log_softmax(logits, dim=-1)[0].numpy()
    entropies = [-(target(f) * log_p[t]).sum() for t, f in enumerate(f0)]
    weights = np.array([1.0, 0.1, 0.55])  # a tenth where there is no voice
    expected = (weights * entropies).sum() / weights.sum()
    assert float(loss(logits, track(*f0), track(*voicing))) == pytest.approx(expected, rel=1e-9)


def test_unvoiced_frames_alone_still_teach():
    logits = torch.zeros(1, 2, BINS, dtype=torch.float64, requires_grad=True)
    value = loss(logits, track(100, 200), track(0, 0))
    assert float(value.detach()) == pytest.approx(math.log(BINS))
    value.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() > 0


def test_voicing_in_nats():
    logit = torch.tensor([[0.0, 2.0, -2.0, 2.0]])
    voicing = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    sure = math.log(1 + math.exp(-2))
    expected = (math.log(2) + sure + sure + (2 + sure)) / 4
    assert float(voicing_loss(logit, voicing)) == pytest.approx(expected, rel=1e-6)


def test_cents():
    reference = track(100, 200, 300, 400)
    semitone = 2 ** (1 / 12)
    estimate = reference * track(semitone, 1 / semitone, 1.0, 3.0)
    # Two of a hundred cents and one of none; the last is unvoiced.
    error = f0_error_cents(estimate, reference, track(1, 1, 1, 0))
    assert float(error) == pytest.approx(100 * math.sqrt(2 / 3), rel=1e-9)
    assert float(f0_error_cents(reference, reference, track(1, 1, 1, 1))) == 0.0
    assert float(f0_error_cents(2 * reference, reference, track(1, 0, 1, 0))) == pytest.approx(1200)


def test_unvoiced_frames_may_hold_anything():
    voicing = track(1, 0, 0, 0)
    reference, estimate = track(100, 0, 0, math.nan), track(200, 0, 50, 70)
    assert float(f0_error_cents(estimate, reference, voicing)) == pytest.approx(1200)
    assert float(f0_error_cents(reference, estimate, voicing)) == pytest.approx(1200)


def test_no_voice_no_error():
    assert math.isnan(float(f0_error_cents(track(100), track(100), track(0))))
