"""Adversarial losses against values computed by hand."""

import math
from typing import get_args

import pytest
import torch

from vocoder.losses.adversarial import (
    Kind,
    absolute_feature_matching_loss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)

# Two discriminators: scores of two real and two generated segments each.
REAL = [torch.tensor([[0.5], [2.0]]), torch.tensor([[-1.0], [1.0]])]
FAKE = [torch.tensor([[0.0], [0.5]]), torch.tensor([[-2.0], [1.0]])]


def test_least_squares():
    # First: (0.25 + 1) / 2 + (0 + 0.25) / 2 = 0.75; second: (4 + 0) / 2 + (4 + 1) / 2 = 4.5.
    assert float(discriminator_loss(REAL, FAKE, "least_squares")) == pytest.approx(2.625)
    # First: (1 + 0.25) / 2 = 0.625; second: (9 + 0) / 2 = 4.5.
    assert float(generator_loss(REAL, FAKE, "least_squares")) == pytest.approx(2.5625)


def test_hinge():
    # First: (0.5 + 0) / 2 + (1 + 1.5) / 2 = 1.5; second: (2 + 0) / 2 + (0 + 2) / 2 = 2.
    assert float(discriminator_loss(REAL, FAKE, "hinge")) == pytest.approx(1.75)
    # First: -0.25; second: 0.5.
    assert float(generator_loss(REAL, FAKE, "hinge")) == pytest.approx(0.125)


def test_clipped_hinge():
    # The discriminators' as above; the generator's (1 + 0.5) / 2 and (3 + 0) / 2.
    assert float(discriminator_loss(REAL, FAKE, "clipped_hinge")) == pytest.approx(1.75)
    assert float(generator_loss(REAL, FAKE, "clipped_hinge")) == pytest.approx(1.125)
    # Scores beyond the margin have zero gradient.
    sure = torch.full((3,), 1.5, requires_grad=True)
    generator_loss([sure], [sure], "clipped_hinge").backward()
    assert sure.grad is not None
    assert not sure.grad.any()


def test_relativistic():
    # ln(1 + e^d) of d = -0.5, -1.5; -1, 0 for the discriminators, of -d for the generator.
    softplus = [math.log1p(math.exp(d)) for d in (-0.5, -1.5, -1.0, 0.0)]
    assert float(discriminator_loss(REAL, FAKE, "relativistic")) == pytest.approx(sum(softplus) / 4)
    softplus = [math.log1p(math.exp(d)) for d in (0.5, 1.5, 1.0, 0.0)]
    assert float(generator_loss(REAL, FAKE, "relativistic")) == pytest.approx(sum(softplus) / 4)
    # What differs between recordings cancels.
    shift = torch.tensor([[5.0], [-7.0]])
    moved = [[score + shift for score in scores] for scores in (REAL, FAKE)]
    for loss in (discriminator_loss, generator_loss):
        torch.testing.assert_close(
            loss(*moved, "relativistic"), loss(REAL, FAKE, "relativistic"), atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("loss", [discriminator_loss, generator_loss])
def test_an_unknown_kind_is_refused(loss):
    with pytest.raises(ValueError, match="unknown kind 'wasserstein': one of least_squares"):
        loss(REAL, FAKE, "wasserstein")


def test_weights_make_a_sum_of_the_mean():
    # 2 · 0.75 + 0.5 · 4.5 and 2 · 0.625 + 0.5 · 4.5.
    assert float(discriminator_loss(REAL, FAKE, "least_squares", [2, 0.5])) == pytest.approx(3.75)
    assert float(generator_loss(REAL, FAKE, "least_squares", [2, 0.5])) == pytest.approx(3.5)
    for kind in get_args(Kind):
        halves = generator_loss(REAL, FAKE, kind, [0.5, 0.5])
        torch.testing.assert_close(halves, generator_loss(REAL, FAKE, kind))
    with pytest.raises(ValueError, match="longer"):
        generator_loss(REAL, FAKE, "hinge", [1.0])


@pytest.mark.parametrize(("kind", "low"), [("least_squares", 0.0), ("hinge", -1.0)])
def test_a_perfect_discriminator_has_nothing_to_learn(kind, low):
    real, fake = [torch.ones(4, 3)], [torch.full((4, 3), low)]
    assert float(discriminator_loss(real, fake, kind)) == 0.0
    if kind == "hinge":  # nor has one that is surer still
        assert float(discriminator_loss([10 * real[0]], [10 * fake[0]], kind)) == 0.0


@pytest.mark.parametrize("kind", ["least_squares", "hinge", "relativistic"])
def test_both_sides_pull_in_opposite_directions(kind):
    real, fake = (torch.zeros(3, requires_grad=True) for _ in range(2))
    discriminator_loss([real], [fake + 0.5], kind).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.max() < 0 < fake.grad.min()  # descent raises real scores, lowers others
    fooled = torch.zeros(3, requires_grad=True)
    generator_loss([fooled.detach()], [fooled + 0.5], kind).backward()
    assert fooled.grad is not None
    assert fooled.grad.max() < 0  # and the generator raises its own


@pytest.mark.parametrize("kind", ["least_squares", "hinge"])
def test_discriminators_count_alike_whatever_they_score(kind):
    # A discriminator with a hundred scores per segment has the same weight as one with a single
    # score.
    wide = [REAL[0], REAL[1].expand(2, 100)], [FAKE[0], FAKE[1].expand(2, 100)]
    torch.testing.assert_close(
        discriminator_loss(*wide, kind), discriminator_loss(REAL, FAKE, kind)
    )


def test_feature_matching():
    real = [[torch.tensor([1.0, -3.0]), torch.tensor([4.0])], [torch.tensor([0.1, 0.1])]]
    fake = [[torch.tensor([2.0, -1.0]), torch.tensor([4.0])], [torch.tensor([0.1, 0.3])]]
    # 1.5 / 2, 0 and 0.1 / 0.1, of three.
    assert float(feature_matching_loss(real, fake)) == pytest.approx(1.75 / 3)
    assert float(feature_matching_loss(real, real)) == 0.0
    # Layers are independent of scale.
    louder = [[100 * layer for layer in layers] for layers in real]
    louder_fake = [[100 * layer for layer in layers] for layers in fake]
    assert float(feature_matching_loss(louder, louder_fake)) == pytest.approx(1.75 / 3)


def test_absolute_feature_matching():
    real = [[torch.tensor([1.0, -3.0]), torch.tensor([4.0])], [torch.tensor([0.1, 0.1])]]
    fake = [[torch.tensor([2.0, -1.0]), torch.tensor([4.5])], [torch.tensor([0.1, 0.3])]]
    # Summed over layers: 1.5 + 0.5 and 0.1; over discriminators: 1 · 2 + 10 · 0.1.
    found = absolute_feature_matching_loss(real, fake, [1.0, 10.0])
    assert float(found) == pytest.approx(3.0)
    assert float(absolute_feature_matching_loss(real, real, [1.0, 10.0])) == 0.0
    # Layers are weighted by their scale.
    louder = [[100 * layer for layer in layers] for layers in real]
    louder_fake = [[100 * layer for layer in layers] for layers in fake]
    found = absolute_feature_matching_loss(louder, louder_fake, [1.0, 10.0])
    assert float(found) == pytest.approx(300.0)


def test_absolute_feature_matching_moves_the_generated_ones_only():
    real, fake = torch.ones(5, requires_grad=True), torch.zeros(5, requires_grad=True)
    absolute_feature_matching_loss([[real * 2]], [[fake]], [1.0]).backward()
    assert real.grad is None
    assert fake.grad is not None
    torch.testing.assert_close(fake.grad, torch.full((5,), -0.2))


def test_feature_matching_moves_the_generated_ones_only():
    real, fake = torch.ones(5, requires_grad=True), torch.zeros(5, requires_grad=True)
    feature_matching_loss([[real * 2]], [[fake]]).backward()
    assert real.grad is None
    assert fake.grad is not None
    assert fake.grad.max() < 0


def test_silent_layers_do_not_divide_by_zero():
    assert float(feature_matching_loss([[torch.zeros(3)]], [[torch.zeros(3)]])) == 0.0


def test_as_many_generated_as_real():
    with pytest.raises(ValueError, match="shorter"):
        discriminator_loss(REAL, FAKE[:1], "hinge")
    with pytest.raises(ValueError, match="longer"):
        feature_matching_loss([[REAL[0]]], [[FAKE[0], FAKE[1]]])
