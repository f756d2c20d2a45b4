"""Adaptive filters: taps updated sample by sample towards a target.

All have the same form. With ``x_n = (x[n], x[n-1], …, x[n-M+1])`` and the taps ``w_n``,

    y[n] = w_n · x_n,   e[n] = d[n] - y[n],   w_{n+1} = w_n + (a correction from e and x).

The output is the one before the correction. Each sample needs the previous one, so these are loops
over samples in plain torch, of some tens of microseconds per sample; a batch of short filters costs
hardly more, so process many signals at once. Everything is differentiable, including the step
sizes, which stores the taps of all samples; under ``torch.no_grad`` nothing is stored.

Source: S. Haykin, "Adaptive Filter Theory"; for affine projection K. Ozeki and T. Umeda, 1984.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Algorithm = Literal["lms", "nlms", "rls", "affine_projection"]


class AdaptiveState(NamedTuple):
    """State of a filter between calls."""

    taps: Float[Tensor, "batch taps"]
    past: Float[Tensor, "batch past"]
    """Last samples of the signal, oldest first."""
    memory: Tensor
    """RLS: inverse correlation matrices (batch, taps, taps) of the samples, oldest first. Affine
    projection: last targets (batch, order - 1). Empty for LMS and NLMS."""


class Adaptation(NamedTuple):
    """Result of an adaptive filter."""

    output: Float[Tensor, "batch samples"]
    error: Float[Tensor, "batch samples"]
    trajectory: Float[Tensor, "batch samples taps"] | None
    """Taps used for each sample, if requested."""
    state: AdaptiveState


def lms(
    signal: Float[Tensor, "batch samples"],
    target: Float[Tensor, "batch samples"],
    n_taps: int,
    step: float | Float[Tensor, " batch"],
    state: AdaptiveState | None = None,
    keep_trajectory: bool = False,
) -> Adaptation:
    """Least mean squares: ``w += μ e[n] x_n``, the gradient of e² at this sample.

    Converges in the mean for ``0 < μ < 2 / λ``, λ the largest eigenvalue of the correlation matrix;
    certainly for μ well below ``2 / (M E x²)``. 2 M + 1 operations per sample.

    Args:
        step: μ, one for all or one per signal.
        state: of the previous call; zero taps and silence when absent.

    Raises:
        ValueError: a number of taps below one, or a state of another filter.

    >>> x, d = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 2.0]])
    >>> lms(x, d, 1, step=0.5).error.tolist()
    [[2.0, 1.0]]
    """
    state = _started(signal, n_taps, state)

    def correct(taps: Tensor, x: Tensor, error: Tensor) -> Tensor:
        return taps + (step * error)[:, None] * x

    return _adapt(signal, target, state, correct, keep_trajectory)


def nlms(
    signal: Float[Tensor, "batch samples"],
    target: Float[Tensor, "batch samples"],
    n_taps: int,
    step: float | Float[Tensor, " batch"],
    regularisation: float = 1e-3,
    state: AdaptiveState | None = None,
    keep_trajectory: bool = False,
) -> Adaptation:
    """Normalised LMS: ``w += μ e[n] x_n / (δ + |x_n|²)``; stable for 0 < μ < 2 at any level.

    With μ = 1 and δ = 0 the corrected taps give exactly d[n]. 2 M + 4 operations per sample.

    Args:
        step: μ.
        regularisation: δ, in the units of M times the signal's power.
        state: as for :func:`lms`.

    Raises:
        ValueError: as :func:`lms`.

    >>> x, d = torch.tensor([[2.0, 1.0]]), torch.tensor([[2.0, 2.0]])
    >>> nlms(x, d, 1, step=1.0, regularisation=0.0).output.tolist()
    [[0.0, 1.0]]
    """
    state = _started(signal, n_taps, state)

    def correct(taps: Tensor, x: Tensor, error: Tensor) -> Tensor:
        energy = x.square().sum(dim=1)
        return taps + (step * error / (regularisation + energy))[:, None] * x

    return _adapt(signal, target, state, correct, keep_trajectory)


def rls(
    signal: Float[Tensor, "batch samples"],
    target: Float[Tensor, "batch samples"],
    n_taps: int,
    forgetting: float = 0.999,
    regularisation: float = 1e-2,
    state: AdaptiveState | None = None,
    keep_trajectory: bool = False,
) -> Adaptation:
    """Recursive least squares: the taps that minimise ``Σ_m λ^{n-m} e[m]² + λ^{n+1} δ |w|²``.

        k = P x_n / (λ + x_n · P x_n),   w += e[n] k,   P = (P - k (P x_n)ᵀ) / λ,   P_{-1} = I / δ.

    The memory is about ``1 / (1 - λ)`` samples. There is no step size; convergence takes about 2 M
    samples for any spectrum of the signal, at about 2 M² operations per sample. With λ < 1 the
    matrix P grows without bound where the signal is silent or narrow-band: add a little noise
    there.

    Args:
        forgetting: λ, in (0, 1].
        regularisation: δ, above 0.
        state: as for :func:`lms`.

    Raises:
        ValueError: as :func:`lms`, or λ or δ out of range.

    >>> x, d = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 2.0]])
    >>> rls(x, d, 1, forgetting=1.0, regularisation=1.0).output.tolist()
    [[0.0, 1.0]]
    """
    if not 0 < forgetting <= 1:
        raise ValueError(f"a forgetting factor of {forgetting}: it lies in (0, 1]")
    if not regularisation > 0:
        raise ValueError(f"a regularisation of {regularisation}: it must be above 0")
    if state is None:
        start = torch.eye(n_taps, dtype=signal.dtype, device=signal.device) / regularisation
        state = _started(signal, n_taps, None, start.repeat(signal.shape[0], 1, 1))
    state = _started(signal, n_taps, state)
    in_place = not torch.is_grad_enabled()
    inverse = state.memory.clone() if in_place else state.memory

    def correct(taps: Tensor, x: Tensor, error: Tensor) -> Tensor:
        nonlocal inverse
        product = inverse @ x[:, :, None]
        scale = forgetting + x[:, None] @ product
        # An outer product of a vector with itself keeps P exactly symmetric. An asymmetric part
        # would grow by 1 / λ per sample.
        root = product * (forgetting * scale).rsqrt()
        add = inverse.baddbmm_ if in_place else inverse.baddbmm
        inverse = add(root, root.mT, beta=1 / forgetting, alpha=-1)
        return taps + (error[:, None] / scale[:, 0]) * product[:, :, 0]

    found = _adapt(signal, target, state, correct, keep_trajectory)
    return found._replace(state=found.state._replace(memory=inverse))


def affine_projection(
    signal: Float[Tensor, "batch samples"],
    target: Float[Tensor, "batch samples"],
    n_taps: int,
    order: int,
    step: float | Float[Tensor, " batch"],
    regularisation: float = 1e-3,
    state: AdaptiveState | None = None,
    keep_trajectory: bool = False,
) -> Adaptation:
    """Affine projection: NLMS on the last P samples at once,
    ``w += μ Xᵀ (X Xᵀ + δ I)⁻¹ (d - X w)``, X the rows ``x_n … x_{n-P+1}``.

    Order 1 is :func:`nlms`; each further order removes one direction of the signal's correlation,
    at about 2 M operations per sample.

    Args:
        order: P, 1 to the number of taps.
        step: μ, in (0, 2).
        regularisation: δ.
        state: as for :func:`lms`.

    Raises:
        ValueError: as :func:`lms`, or an order out of range.

    >>> x, d = torch.tensor([[2.0, 1.0]]), torch.tensor([[2.0, 2.0]])
    >>> affine_projection(x, d, 1, order=1, step=1.0, regularisation=0.0).output.tolist()
    [[0.0, 1.0]]
    """
    if not 1 <= order <= n_taps:
        raise ValueError(f"an order of {order} for {n_taps} taps: it lies in 1 … {n_taps}")
    if state is None:
        state = _started(signal, n_taps, None, signal.new_zeros(signal.shape[0], order - 1), order)
    state = _started(signal, n_taps, state, order=order)
    targets = torch.cat([state.memory, target], dim=1)
    unit = regularisation * torch.eye(order, dtype=signal.dtype, device=signal.device)
    # The P windows and targets up to the current sample, oldest first.
    window = iter(targets.unfold(1, order, 1).unbind(1))

    def correct(taps: Tensor, x: Tensor, error: Tensor) -> Tensor:
        rows = x.unfold(1, n_taps, 1)
        errors = next(window) - (rows @ taps[:, :, None])[:, :, 0]
        weights = torch.linalg.solve(rows @ rows.mT + unit, errors)
        step_ = step[:, None] if isinstance(step, Tensor) else step
        return taps + step_ * (weights[:, None] @ rows)[:, 0]

    found = _adapt(signal, target, state, correct, keep_trajectory, order)
    memory = targets[:, targets.shape[1] - order + 1 :]
    return found._replace(state=found.state._replace(memory=memory))


def macs_per_sample(algorithm: Algorithm, n_taps: int, order: int = 1) -> int:
    """Multiply-accumulates per sample, a division counted as one.

    Assumes implementations that update energies and Gram matrices recursively, store one triangle
    of symmetric matrices and solve by Cholesky: M for the output, then LMS ``M + 1``, NLMS ``M +
    4``, RLS ``2 M² + 4 M`` (P x, x·P x, k, w, P), affine projection ``(2 P - 1) M`` for errors and
    correction and ``P³/6 + P² + 3 P`` for the rest.

    Raises:
        ValueError: an unknown algorithm.

    >>> [macs_per_sample(name, 64, 4) for name in ("lms", "nlms", "rls", "affine_projection")]
    [129, 132, 8512, 551]
    """
    m, p = n_taps, order
    match algorithm:
        case "lms":
            return 2 * m + 1
        case "nlms":
            return 2 * m + 4
        case "rls":
            return 2 * m**2 + 5 * m
        case "affine_projection":
            return 2 * p * m + -(-(p**3) // 6) + p**2 + 3 * p
    raise ValueError(f"no algorithm {algorithm!r}: lms, nlms, rls or affine_projection")


def _started(
    signal: Tensor,
    n_taps: int,
    state: AdaptiveState | None,
    memory: Tensor | None = None,
    order: int = 1,
) -> AdaptiveState:
    """The given state after a shape check, or the state for silence."""
    batch, past = signal.shape[0], n_taps + order - 2
    if n_taps < 1:
        raise ValueError(f"{n_taps} taps: a filter has at least one")
    if state is None:
        if memory is None:
            memory = signal.new_zeros(batch, 0)
        return AdaptiveState(signal.new_zeros(batch, n_taps), signal.new_zeros(batch, past), memory)
    found = (state.taps.shape, state.past.shape)
    if found != ((batch, n_taps), (batch, past)):
        raise ValueError(
            f"a state of shapes {[tuple(s) for s in found]} for {batch} signals, {n_taps} taps and "
            f"order {order}: go on with the state of the same filter"
        )
    return state


def _adapt(
    signal: Tensor,
    target: Tensor,
    state: AdaptiveState,
    correct: Callable[[Tensor, Tensor, Tensor], Tensor],
    keep_trajectory: bool,
    order: int = 1,
) -> Adaptation:
    """The loop shared by all algorithms; ``correct`` gets the last ``taps + order - 1`` samples.

    Taps are stored in the order of the samples, oldest first, so that a window is a view.
    """
    past = state.past.shape[1]
    padded = torch.cat([state.past, signal], dim=1)
    taps = state.taps.flip(1)
    outputs, errors, trajectory = [], [], []
    for n, wanted in enumerate(target.unbind(1)):
        x = padded[:, n : n + past + 1]
        output = (taps * x[:, order - 1 :]).sum(dim=1)
        error = wanted - output
        if keep_trajectory:
            trajectory.append(taps)
        taps = correct(taps, x, error)
        outputs.append(output)
        errors.append(error)
    end = AdaptiveState(taps.flip(1), padded[:, padded.shape[1] - past :], state.memory)
    return Adaptation(
        torch.stack(outputs, dim=1),
        torch.stack(errors, dim=1),
        torch.stack(trajectory, dim=1).flip(2) if keep_trajectory else None,
        end,
    )
