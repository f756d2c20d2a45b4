"""Likelihoods against theory, and samplers against likelihoods."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.distributions import Normal, kl_divergence

from vocoder.dsp.companding import uniform_decode, uniform_encode
from vocoder.losses.likelihood import (
    LN_2,
    categorical_nll,
    gaussian_kl,
    gaussian_nll,
    logistic_mixture_density_nll,
    logistic_mixture_nll,
    logistic_nll,
    regularised_gaussian_kl,
)
from vocoder.models.blocks.sampling import (
    sample_categorical,
    sample_gaussian,
    sample_logistic,
    sample_logistic_mixture,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=seeded(seed), dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def mixture(log_scales: list[float], means: list[float], weights: list[float]) -> torch.Tensor:
    parameters = [math.log(w) for w in weights] + means + log_scales
    return torch.tensor(parameters, dtype=torch.float64)


MIXTURES = {
    "wide": mixture([-1.0, -0.5], [0.2, -0.3], [0.7, 0.3]),
    "narrow": mixture([-7.0, -5.0, -8.5], [0.1, -0.4, 0.100001], [0.2, 0.5, 0.3]),
    "at the edges": mixture([-4.0, -6.0], [-1.0, 1.02], [0.5, 0.5]),
}


# ---- categorical ---------------------------------------------------------------------------------


def test_uniform_symbols_cost_eight_bits_where_nothing_is_known():
    symbols = torch.randint(256, (4, 100), generator=seeded())
    bits = categorical_nll(torch.zeros(4, 100, 256), symbols) / LN_2
    torch.testing.assert_close(bits, torch.full((4, 100), 8.0))


def test_a_sampled_class_costs_the_entropy():
    logits = 2 * normal(7)
    probabilities = torch.softmax(logits, 0)
    symbols = sample_categorical(logits.expand(200_000, 7), uniform(200_000))
    shares = torch.bincount(symbols, minlength=7) / 200_000
    assert (shares - probabilities).abs().max() < 5 * 0.5 / math.sqrt(200_000)
    entropy = float(-(probabilities * probabilities.log()).sum())
    found = categorical_nll(logits.expand(200_000, 7), symbols)
    assert float(found.mean()) == pytest.approx(entropy, abs=5 * float(found.std()) / 447)


def test_a_class_is_chosen_where_its_share_of_the_unit_interval_lies():
    logits = torch.tensor([0.2, 0.5, 0.3]).log()
    numbers = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 1 - 1e-7])
    assert sample_categorical(logits.expand(6, 3), numbers).tolist() == [0, 0, 1, 1, 2, 2]
    # An impossible class is never chosen, wherever it stands.
    impossible = torch.tensor([-math.inf, 0.0, -math.inf])
    assert sample_categorical(impossible.expand(6, 3), numbers).tolist() == [1] * 6


# ---- mixture of logistics ------------------------------------------------------------------------


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_all_levels_together_have_probability_one(name, dtype):
    levels = 65536
    grid = uniform_decode(torch.arange(levels), levels, dtype)
    parameters = MIXTURES[name].to(dtype).expand(levels, -1)
    total = logistic_mixture_nll(parameters, grid, levels).neg().exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-9 if dtype == torch.float64 else 2e-3)


@pytest.mark.parametrize("name", MIXTURES)
def test_levels_have_the_difference_of_the_distribution_function(name):
    levels = 256
    grid = uniform_decode(torch.arange(levels), levels, torch.float64)
    weights, means, log_scales = MIXTURES[name].chunk(3)
    edges = (grid[:-1] + grid[1:]) / 2
    at_edges = torch.sigmoid((edges[:, None] - means) / log_scales.exp()) @ weights.exp()
    expected = torch.cat([at_edges[:1], at_edges.diff(), 1 - at_edges[-1:]])
    found = logistic_mixture_nll(MIXTURES[name].expand(levels, -1), grid, levels).neg().exp()
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=1e-9)


def test_probabilities_too_small_for_a_difference_of_sigmoids_keep_their_gradient():
    # 400 scales away from the mean: σ(a) - σ(b) is zero in any floating-point format.
    parameters = mixture([-6.0], [0.0], [1.0]).float().requires_grad_(True)
    x = torch.tensor(400 * math.exp(-6.0))
    loss = logistic_mixture_nll(parameters, x)
    loss.backward()
    density = 400 + -6.0 - math.log(2 / 65535)
    assert float(loss.detach()) == pytest.approx(density, rel=1e-4)
    # d(x - μ)/s over dμ is -1/s, over d ln s is -(x - μ)/s.
    assert float(parameters.grad[1]) == pytest.approx(-math.exp(6), rel=1e-3)
    assert float(parameters.grad[2]) == pytest.approx(1 - 400, rel=1e-3)


@pytest.mark.parametrize("x", [-1.0, -0.2, 1.0])
def test_the_gradient_of_the_mixture_is_right(x):
    parameters = normal(2, 9).mul(0.5).requires_grad_(True)
    waveform = torch.full((2,), x, dtype=torch.float64)
    assert gradcheck(lambda p: logistic_mixture_nll(p, waveform, 256), parameters)


def test_a_sample_of_the_mixture_costs_its_entropy():
    parameters = MIXTURES["wide"] - torch.tensor([0, 0, 0, 0, 3.0, 3.0])
    count, levels = 100_000, 65536
    waveform = sample_logistic_mixture(parameters.expand(count, -1), uniform(count, 2))
    quantised = uniform_decode(uniform_encode(waveform, levels), levels, torch.float64)
    found = logistic_mixture_nll(parameters.expand(count, -1), quantised, levels)
    grid = uniform_decode(torch.arange(levels), levels, torch.float64)
    of_levels = logistic_mixture_nll(parameters.expand(levels, -1), grid, levels)
    entropy = float((of_levels * of_levels.neg().exp()).sum())
    assert float(found.mean()) == pytest.approx(entropy, abs=5 * float(found.std()) / 316)


def test_a_sample_of_a_logistic_costs_two_nats_more_than_its_log_scale():
    count = 200_000
    mean, log_scale = torch.full((count,), 0.3), torch.full((count,), -4.0)
    samples = sample_logistic(mean.double(), log_scale.double(), uniform(count))
    found = logistic_nll(mean.double(), log_scale.double(), samples)
    assert float(found.mean()) == pytest.approx(-4 + 2, abs=5 * float(found.std()) / 447)


@pytest.mark.parametrize("name", MIXTURES)
def test_the_density_of_the_mixture_is_the_probability_of_a_level_over_its_width(name):
    # Between the edges, where the scales are wide against a step of 20 bits.
    levels = 2**20
    grid = uniform_decode(torch.arange(1, levels - 1, 97), levels, torch.float64)
    parameters = MIXTURES[name].expand(len(grid), -1)
    probability = logistic_mixture_nll(parameters, grid, levels)
    density = logistic_mixture_density_nll(parameters, grid)
    width = math.log(2 / (levels - 1))
    torch.testing.assert_close(density, probability + width, atol=1e-4, rtol=0)
    # Beyond them the density goes on falling.
    outside = logistic_mixture_density_nll(parameters[:2], torch.tensor([3.0, 9.0]).double())
    assert float(outside.diff()) > 6


def test_a_number_of_parameters_that_is_no_three_a_component_is_refused():
    with pytest.raises(ValueError, match="three for each component"):
        logistic_mixture_nll(torch.zeros(2, 10), torch.zeros(2))


# ---- Gaussian ------------------------------------------------------------------------------------


def test_the_gaussian_density_is_that_of_torch():
    parameters, waveform = normal(50, 2), normal(50, seed=1)
    expected = -Normal(parameters[:, 0], parameters[:, 1].exp()).log_prob(waveform)
    torch.testing.assert_close(gaussian_nll(parameters, waveform), expected)


def test_gaussian_noise_costs_its_entropy():
    count, scale = 200_000, 0.05
    parameters = torch.tensor([0.1, math.log(scale)], dtype=torch.float64).expand(count, 2)
    found = gaussian_nll(parameters, sample_gaussian(parameters, normal(count)))
    entropy = 0.5 * math.log(2 * math.pi * math.e * scale**2)
    assert float(found.mean()) == pytest.approx(entropy, abs=5 * math.sqrt(0.5 / count))


def test_the_floor_bounds_the_likelihood_of_silence_and_its_samples():
    parameters = torch.tensor([[0.0, -30.0]], requires_grad=True)
    loss = gaussian_nll(parameters, torch.zeros(1), log_scale_floor=-9.0)
    assert float(loss.detach()) == pytest.approx(0.5 * math.log(2 * math.pi) - 9)
    loss.sum().backward()
    assert float(parameters.grad[0, 1]) == 0
    sample = sample_gaussian(parameters.detach(), torch.ones(1), log_scale_floor=-9.0)
    assert float(sample) == pytest.approx(math.exp(-9))


def test_the_divergence_of_gaussians_is_that_of_torch_and_of_monte_carlo():
    mean_q, mean_p = normal(5), normal(5, seed=1)
    log_q, log_p = 0.5 * normal(5, seed=2), 0.5 * normal(5, seed=3)
    found = gaussian_kl(mean_q, log_q, mean_p, log_p)
    q, p = Normal(mean_q, log_q.exp()), Normal(mean_p, log_p.exp())
    torch.testing.assert_close(found, kl_divergence(q, p))
    samples = mean_q + log_q.exp() * normal(200_000, 5, seed=4)
    ratios = q.log_prob(samples) - p.log_prob(samples)
    assert ((ratios.mean(0) - found).abs() < 5 * ratios.std(0) / 447).all()
    torch.testing.assert_close(gaussian_kl(mean_q, log_q, mean_q, log_q), torch.zeros_like(found))


def test_the_regulariser_adds_what_the_scales_differ_by_and_hears_it_below_the_floor():
    zero = torch.zeros(1, dtype=torch.float64)
    found = regularised_gaussian_kl(zero, zero - 2, zero, zero - 3, weight=4.0)
    torch.testing.assert_close(found, gaussian_kl(zero, zero - 2, zero, zero - 3) + 4)
    # Below the floor the divergence sees equal scales, the regulariser still pulls them together.
    low = (zero - 12).requires_grad_(True)
    regularised_gaussian_kl(zero, low, zero, zero - 9, weight=4.0, log_scale_floor=-7.0).backward()
    assert float(low.grad) == pytest.approx(-2 * 4 * 3)


@pytest.mark.parametrize("argument", range(4))
def test_the_gradient_of_the_divergence_is_right(argument):
    values = [0.5 * normal(3, seed=i) for i in range(4)]
    values[argument].requires_grad_(True)
    assert gradcheck(regularised_gaussian_kl, tuple(values))
