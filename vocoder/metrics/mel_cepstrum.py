"""Mel-cepstra: compact descriptions of a spectrum on a warped frequency axis."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.filters.tap_shapes import warp_cepstrum
from vocoder.errors import AudioError

_DECREMENT = 1e-12
_MOST_STEPS = 200
_BLOCK = 1024


def mel_generalised_cepstrum(
    periodogram: Float[Tensor, "frames bins"], order: int, alpha: float, gamma: float = 0.0
) -> Float[Tensor, "frames coefficients"]:
    """Mel-generalised cepstra c_0 … c_M of frames: the spectral models of unbiased log-likelihood.

    The model of a frame with the periodogram I is

        H = (1 + γ C)^(1/γ)  for -1 <= γ < 0,   H = exp C  for γ = 0,
        C(ω) = Σ_{m <= M} c_m e^{-j m Ω(ω)},   Ω(ω) = ω + 2 atan(α sin ω / (1 - α cos ω)),

    and its coefficients minimise the mean of I / |H|² + ln |H|² over the unit circle. γ = 0 is
    the mel-cepstrum of SPTK's `mcep`, γ < 0 that of its `mgcep`.

    The mean of ln |H|² of a minimum-phase model is ln |H|² at z = ∞, where e^{-jΩ} becomes -α. With
    P = 1 + γ C the criterion is therefore mean(I |P|^(-2/γ)) + (2/γ) ln P(∞), which is convex
    wherever P(∞) > 0, and whose minimum is minimum-phase: Newton steps, halved until they descend,
    find it from any start. SPTK takes undamped steps and stops earlier; with more iterations it
    agrees.

    Args:
        periodogram: |FFT|² of one windowed frame or more, bins from 0 Hz to Nyquist, all above 0.
        order: M.
        alpha: of the warping, 0 for none; 0.41 approximates mel at 16 kHz.
        gamma: of the generalised logarithm, in [-1, 0].

    Returns:
        (frames, order + 1), in double precision.

    Raises:
        AudioError: a periodogram that is not positive and finite, or a frame without convergence.

    Source: Tokuda, Kobayashi, Masuko, Imai, "Mel-generalized cepstral analysis - a unified approach
    to speech spectral estimation", ICSLP 1994.
    """
    power = periodogram.double()
    if not bool((power > 0).all() and power.isfinite().all()):
        raise AudioError("a mel-cepstrum needs periodograms that are positive and finite")
    model = _Model(order, alpha, gamma, power.shape[1])
    # In blocks, to bound memory.
    return torch.cat([_fit(block, model) for block in power.split(_BLOCK)])


def cepstrum(log_power: Float[Tensor, "frames bins"]) -> Float[Tensor, "frames bins"]:
    """Cepstrum of a minimum-phase signal with this ln |X|²: ln |X| = Σ c_n cos nω.

    >>> cepstrum(torch.zeros(1, 5).fill_(2.0)).round(decimals=6).tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0]]
    """
    both_sides = torch.fft.irfft(log_power)[:, : log_power.shape[1]]
    both_sides[:, 0] /= 2
    both_sides[:, -1] /= 2
    return both_sides


class _Model:
    """The criterion as a function of p: c for γ = 0, else the coefficients of P = 1 + γ C."""

    def __init__(self, order: int, alpha: float, gamma: float, bins: int) -> None:
        self.order, self.alpha, self.gamma = order, alpha, gamma
        omega = torch.linspace(0, math.pi, bins, dtype=torch.float64)
        warped = omega + 2 * torch.atan2(alpha * omega.sin(), 1 - alpha * omega.cos())
        angle = warped[:, None] * torch.arange(2 * order + 1)
        self.cos, self.sin = angle.cos(), angle.sin()
        # Bins between 0 Hz and Nyquist represent two points of the circle.
        self.weight = torch.full((bins,), 1.0 / (bins - 1), dtype=torch.float64)
        self.weight[[0, -1]] /= 2
        self.at_infinity = (-alpha) ** torch.arange(order + 1, dtype=torch.float64)
        index = torch.arange(order + 1)
        self.sums, self.lags = index[:, None] + index, (index[:, None] - index).abs()

    def start(self, power: Float[Tensor, "frames bins"]) -> Float[Tensor, "frames coefficients"]:
        """The model of the smoothed log-periodogram, a close start, with the best-fitting gain."""
        c = warp_cepstrum(cepstrum(power.log()), self.order + 1, self.alpha)
        if self.gamma == 0.0:
            c[:, 0] += (self._ratio(power, c) @ self.weight).log() / 2
            return c
        # P = exp(γ C) as a power series: n p_n = Σ k γ c_k p_{n-k}.
        series = [(self.gamma * c[:, 0]).exp()]
        for n in range(1, self.order + 1):
            terms = [k * c[:, k] * series[n - k] for k in range(1, n + 1)]
            series.append(self.gamma / n * torch.stack(terms).sum(0))
        p = torch.stack(series, 1)
        # Truncated at the order it may be invalid; then the start is a flat model.
        possible = p @ self.at_infinity > 0.1 * p[:, 0]
        p[:, 1:] *= possible[:, None]
        gain = (self._ratio(power, p) @ self.weight) ** (self.gamma / 2)
        return gain[:, None] * p

    def value(
        self, power: Float[Tensor, "frames bins"], p: Float[Tensor, "frames coefficients"]
    ) -> Float[Tensor, " frames"]:
        """The criterion; infinite where P(∞) is not positive."""
        fit = self._ratio(power, p) @ self.weight
        at_infinity = p @ self.at_infinity
        if self.gamma == 0.0:
            return fit + 2 * at_infinity
        inside = at_infinity > 0
        return torch.where(inside, fit + 2 / self.gamma * at_infinity.log(), math.inf)

    def derivatives(
        self, power: Float[Tensor, "frames bins"], p: Float[Tensor, "frames coefficients"]
    ) -> tuple[
        Float[Tensor, "frames coefficients"], Float[Tensor, "frames coefficients coefficients"]
    ]:
        """Gradient and Hessian, the latter from a Hankel and a Toeplitz matrix.

        With s = -1/γ, a_m = e^{-jmΩ} / P and r = I / |H|² = I |P|^2s,

            ∂r/∂p_m = 2 s r Re a_m
            ∂²r/∂p_m∂p_n = 2 s r ((s - 1) Re a_m a_n + s Re a_m a_n*),

        where a_m a_n depends on m + n and a_m a_n* on m - n. For γ = 0 they are -2 r cos mΩ and
        2 r (cos (m + n)Ω + cos (m - n)Ω).
        """
        m = self.order + 1
        ratio = self._ratio(power, p) * self.weight
        u = self.at_infinity
        if self.gamma == 0.0:
            gradient = 2 * u - 2 * ratio @ self.cos[:, :m]
            lines = 2 * ratio @ self.cos
            return gradient, lines[:, self.sums] + lines[:, self.lags]
        s = -1 / self.gamma
        real, imaginary = p @ self.cos[:, :m].T, -p @ self.sin[:, :m].T
        square = real.square() + imaginary.square()
        # 1 / P = P* / |P|², and 1 / P² its square.
        x, y = real / square, -imaginary / square
        gradient = 2 * s * ((ratio * x) @ self.cos[:, :m] + (ratio * y) @ self.sin[:, :m])
        at_infinity = (p @ u)[:, None]
        gradient = gradient - 2 * s * u / at_infinity
        hankel = (
            2
            * s
            * (s - 1)
            * ((ratio * (x.square() - y.square())) @ self.cos + (ratio * 2 * x * y) @ self.sin)
        )
        toeplitz = 2 * s * s * (ratio / square) @ self.cos
        barrier = 2 * s * torch.outer(u, u) / at_infinity.square()[:, :, None]
        return gradient, hankel[:, self.sums] + toeplitz[:, self.lags] + barrier

    def _ratio(
        self, power: Float[Tensor, "frames bins"], p: Float[Tensor, "frames coefficients"]
    ) -> Float[Tensor, "frames bins"]:
        """I / |H|²."""
        m = self.order + 1
        real = p @ self.cos[:, :m].T
        if self.gamma == 0.0:
            return power * (-2 * real).exp()
        square = real.square() + (p @ self.sin[:, :m].T).square()
        return power * square ** (-1 / self.gamma)


def _fit(
    power: Float[Tensor, "frames bins"], model: _Model
) -> Float[Tensor, "frames coefficients"]:
    """The coefficients c of a block of frames."""
    # Normalising the level improves conditioning; it changes only the gain.
    level = power.mean(1, keepdim=True)
    p = _newton(power / level, model.start(power / level), model)
    if model.gamma == 0.0:
        p[:, :1] += level.log() / 2
        return p
    p = p * level ** (model.gamma / 2)
    p[:, 0] -= 1
    return p / model.gamma


def _newton(
    power: Float[Tensor, "frames bins"], p: Float[Tensor, "frames coefficients"], model: _Model
) -> Float[Tensor, "frames coefficients"]:
    """The minima of all frames; frames that have converged are not updated again."""
    p = p.clone()
    active = torch.arange(len(p))
    for _ in range(_MOST_STEPS):
        own, here = power[active], p[active]
        gradient, hessian = model.derivatives(own, here)
        step = -torch.linalg.solve(hessian, gradient)
        descent = -(gradient * step).sum(1)
        going = descent > _DECREMENT
        if not bool(going.any()):
            return p
        active, own, here = active[going], own[going], here[going]
        step, descent = step[going], descent[going]
        p[active] = here + _step_length(own, here, step, descent, model)[:, None] * step
    raise AudioError("a mel-cepstrum did not converge: is a frame of it no signal at all?")


def _step_length(
    power: Float[Tensor, "frames bins"],
    p: Float[Tensor, "frames coefficients"],
    step: Float[Tensor, "frames coefficients"],
    descent: Float[Tensor, " frames"],
    model: _Model,
) -> Float[Tensor, " frames"]:
    """1, halved per frame until the criterion falls by a hundredth of the decrease predicted by its
    slope."""
    length = torch.ones(len(p), dtype=p.dtype)
    before = model.value(power, p)
    for _ in range(40):
        value = model.value(power, p + length[:, None] * step)
        # In the last steps, rounding errors exceed the decrease.
        fails = ~(value <= before - 0.01 * length * descent + 1e-13 * before.abs())
        if not bool(fails.any()):
            break
        length = torch.where(fails, length / 2, length)
    return length
