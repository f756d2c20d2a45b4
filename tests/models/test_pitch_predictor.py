"""The pitch predictor: decoding of classes, reach, range, and that it learns."""

import math

import numpy as np
import pytest
import torch

from tests.models.speech import seeded
from vocoder.losses.pitch import f0_classification_loss, f0_error_cents, voicing_loss
from vocoder.models.blocks.pitch_predictor import PitchPredictor, PitchPredictorConfig

DEFAULT = PitchPredictorConfig()


def predictor(config: PitchPredictorConfig = DEFAULT, n_mels: int = 80) -> PitchPredictor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PitchPredictor(config, n_mels)


def bell(f0_hz: float, height: float = 0.0, spread: float = 25.0) -> torch.Tensor:
    """Logits of a Gaussian in cents around an F0, as the loss teaches them."""
    cents = 1200 * math.log2(f0_hz / DEFAULT.f0_min_hz)
    return height - 0.5 * ((torch.arange(DEFAULT.bins) * DEFAULT.bin_cents - cents) / spread) ** 2


def test_classes_span_the_range():
    model = predictor()
    f0 = model.classes_hz
    assert len(f0) == DEFAULT.bins
    assert float(f0[0]) == pytest.approx(60.0)
    # The last one within half a class of the upper end.
    assert abs(1200 * math.log2(float(f0[-1]) / 500)) <= 10
    np.testing.assert_allclose(1200 * torch.log2(f0).diff(), 20, atol=1e-3)


@pytest.mark.parametrize("f0_hz", [66.0, 80.0, 99.9, 123.456, 200.0, 311.1, 480.0])
def test_a_bell_decodes_to_its_centre(f0_hz):
    found = predictor().decode(bell(f0_hz)[None, None])
    assert 1200 * abs(math.log2(float(found) / f0_hz)) < 1.0


def test_only_the_neighbours_of_the_highest_class_count():
    # Half an octave up a second bell, nearly as high: no mean of the two.
    both = torch.logaddexp(bell(120.0, height=0.1), bell(170.0))
    assert float(predictor().decode(both[None, None])) == pytest.approx(120.0, rel=1e-3)


def test_a_sure_class_is_its_frequency():
    model = predictor()
    for index in (0, 1, 90, DEFAULT.bins - 1):
        logits = torch.zeros(1, 1, DEFAULT.bins)
        logits[..., index] = 40.0
        expected = float(model.classes_hz[index])
        assert float(model.decode(logits)) == pytest.approx(expected, rel=1e-5)


def test_f0_and_voicing_stay_in_range():
    model = predictor()
    with torch.inference_mode():
        for gain in (0.0, 1.0, 1e3):
            x = gain * torch.randn(4, 60, 80, generator=seeded())
            estimate = model(x)
            assert estimate.f0_hz.min() >= 59.99
            assert estimate.f0_hz.max() <= 504
            assert estimate.voicing.min() >= 0
            assert estimate.voicing.max() <= 1


@pytest.mark.parametrize(("layers", "left", "right"), [(5, 3, 1), (2, 0, 2), (1, 4, 0)])
def test_context_is_exactly_what_it_says(layers, left, right):
    config = PitchPredictorConfig(channels=8, layers=layers, left=left, right=right)
    model = predictor(config)
    before, after = model.context
    assert (before, after) == (layers * left, layers * right)
    x = torch.randn(1, 40, 80, generator=seeded(), requires_grad=True)
    estimate = model(x)
    assert estimate.f0_hz.shape == estimate.voicing.shape == (1, 40 - before - after)
    frame = 5
    (gradient,) = torch.autograd.grad(estimate.f0_logits[0, frame].square().sum(), x)
    touched = gradient[0].abs().amax(dim=1).nonzero()[:, 0]
    assert (int(touched.min()), int(touched.max())) == (frame, frame + before + after)


def harmonic_mel(f0_hz: torch.Tensor, voiced: torch.Tensor) -> torch.Tensor:
    """(frames, 80): ripples in frequency with the spacing of harmonics, where there is voice."""
    hertz = torch.linspace(50, 1500, 80)
    ripple = torch.cos(2 * math.pi * hertz / f0_hz[:, None]) * torch.exp(-hertz / 800)
    return ripple * voiced[:, None]


@pytest.mark.slow
def test_it_learns_f0_and_voicing():
    config = PitchPredictorConfig(channels=48, layers=2, left=1, right=1)
    model = predictor(config)
    before, after = model.context
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    scores = []
    for step in range(120):
        f0 = 80 * 4 ** torch.rand(1, 200, generator=seeded(step))
        voiced = (torch.rand(1, 200, generator=seeded(step + 999)) > 0.4).float()
        x = harmonic_mel(f0[0], voiced[0])[None]
        x = x + 0.05 * torch.randn(x.shape, generator=seeded(step + 5000))
        inside = slice(before, 200 - after)
        f0, voiced = f0[:, inside], voiced[:, inside]
        estimate = model(x)
        loss = f0_classification_loss(
            estimate.f0_logits, f0, voiced, config.f0_min_hz, config.bin_cents, unvoiced_weight=0.0
        ) + voicing_loss(estimate.voicing_logit, voiced)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        wrong = ((estimate.voicing > 0.5) != (voiced > 0.5)).float().mean()
        scores.append((float(f0_error_cents(estimate.f0_hz.detach(), f0, voiced)), float(wrong)))
    # Every step has new frames, so that memorisation is impossible.
    first, last = np.mean(scores[:3], axis=0), np.mean(scores[-5:], axis=0)
    assert last[0] < 0.25 * first[0]
    assert last[1] < 0.02
