"""Fitting a description to log gains, and the curvature of the loss. Everything in float64."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacfwd, vmap

from studies.envelopes import distance_db
from studies.parameterisation.shapes import Shape

ADAM_STEPS = 1500
LBFGS_EVALUATIONS = 400
LBFGS_MEMORY = 20
SINGULAR = 1e12
"""Condition numbers above this are infinite, by the precision of float64."""


@dataclass(frozen=True)
class Fit:
    """A description fitted to frames.

    Attributes:
        errors_db: log-spectral distance of each frame after each step, the best so far.
        parameters: of the best step.
    """

    errors_db: Float[Tensor, "steps frames"]
    parameters: Float[Tensor, "frames parameters"]


def adam(shape: Shape, target: Tensor, count: int, learning_rate: float) -> Fit:
    """Adam (β 0.9, 0.999) with a constant step size. It treats parameters independently, so that
    all frames run in parallel."""
    x = torch.zeros(len(target), count, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=learning_rate)
    errors, best = [], torch.full((len(target),), torch.inf, dtype=torch.float64)
    kept = x.detach().clone()
    for _ in range(ADAM_STEPS + 1):
        log_gain = shape(x)
        error = distance_db(log_gain.detach(), target)
        better = error < best
        best = torch.where(better, error, best)
        kept[better] = x.detach()[better]
        errors.append(best)
        optimizer.zero_grad()
        (log_gain - target).square().mean(dim=1).sum().backward()
        optimizer.step()
    return Fit(torch.stack(errors), kept)


def lbfgs(shape: Shape, target: Tensor, count: int) -> Fit:
    """L-BFGS with a strong Wolfe search, frame by frame. A step is one evaluation of the loss and
    its gradient, which is what a step of Adam costs."""
    columns, parameters = [], []
    for frame in target:
        errors, x = _lbfgs_of_one(shape, frame, count)
        columns.append(torch.tensor(errors, dtype=torch.float64).cummin(dim=0).values)
        parameters.append(x)
    return Fit(torch.stack(columns, dim=1), torch.stack(parameters))


def _lbfgs_of_one(shape: Shape, frame: Tensor, count: int) -> tuple[list[float], Tensor]:
    x = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [x],
        max_iter=LBFGS_EVALUATIONS,
        max_eval=LBFGS_EVALUATIONS,
        history_size=LBFGS_MEMORY,
        tolerance_grad=1e-9,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )
    errors: list[float] = []
    best, kept = torch.inf, x.detach().clone()

    def evaluate() -> Tensor:
        nonlocal best, kept
        optimizer.zero_grad()
        log_gain = shape(x)
        loss = (log_gain - frame).square().mean()
        loss.backward()
        errors.append(float(distance_db(log_gain.detach(), frame)))
        if errors[-1] < best:
            best, kept = errors[-1], x.detach().clone()
        return loss

    optimizer.step(evaluate)
    # Equal length for all, after early convergence or a longer last search.
    last = errors[-1]
    errors = (errors + [last] * LBFGS_EVALUATIONS)[: LBFGS_EVALUATIONS + 1]
    return errors, kept


def conditions(shape: Shape, parameters: Float[Tensor, "frames parameters"]) -> Tensor:
    """Condition number of JᵀJ for each frame, J the derivative of the log gain by the parameters:
    the Gauss-Newton Hessian of the squared distance in the log spectrum, up to scale."""
    jacobian = vmap(jacfwd(shape))(parameters)
    eigenvalues = torch.linalg.svdvals(jacobian).square()
    condition = eigenvalues[:, 0] / eigenvalues[:, -1]
    return torch.where(condition < SINGULAR, condition, torch.inf)


def steps_to(errors_db: Float[Tensor, "steps frames"], goal_db: Tensor) -> Tensor:
    """First step at which each frame reaches its goal; infinite if never."""
    reached = errors_db <= goal_db
    first = reached.double().argmax(dim=0).double()
    return torch.where(reached.any(dim=0), first, torch.inf)
