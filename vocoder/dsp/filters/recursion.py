"""The recursions of all time-varying IIR filters, and the choice of backend.

``backend="philtorch"`` runs the compiled kernels of the package philtorch (``vocoder[iir]``),
``"torch"`` a loop over samples in torch alone, about a hundred times slower. There is no automatic
fallback.
"""

import importlib
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

Backend = Literal["philtorch", "torch"]

_Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]


def all_pole_recursion(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch samples order"],
    state: Float[Tensor, "batch order"],
    backend: Backend = "philtorch",
) -> Float[Tensor, "batch samples"]:
    """``y[n] = x[n] - Σ_i a_i[n] y[n - i]`` with separate coefficients for every sample.

    The adjoint is the same recursion backwards in time, with each coefficient at the sample where
    it acted:

        λ[n] = ∂L/∂y[n] - Σ_i a_i[n + i] λ[n + i],   ∂L/∂x[n] = λ[n],
        ∂L/∂a_i[n] = -λ[n] y[n - i],                 ∂L/∂state: λ of the samples before the first

    The adjoint is itself differentiable.

    Args:
        state: the outputs before the first sample, oldest first.

    Raises:
        ValueError: lengths or dtypes differ, there is no coefficient, or the backend is unknown.
        ModuleNotFoundError: philtorch is requested and not installed.

    Source of the adjoint: C.-Y. Yu and G. Fazekas, "Differentiable time-varying linear prediction
    in the context of end-to-end analysis-by-synthesis", Interspeech 2024.

    >>> a = torch.tensor([[[-0.5], [-0.5], [0.0]]])
    >>> x, rest = torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, 1)
    >>> all_pole_recursion(x, a, rest, backend="torch").tolist()
    [[1.0, 0.5, 0.0]]
    """
    if coefficients.shape[:2] != signal.shape or state.shape != coefficients[:, 0].shape:
        raise ValueError(
            f"signal {tuple(signal.shape)}, coefficients {tuple(coefficients.shape)} and state "
            f"{tuple(state.shape)} do not match: one set of coefficients for every sample"
        )
    if coefficients.shape[2] == 0:
        raise ValueError("a recursion of order 0 has no coefficients: the output is the signal")
    _require_one_dtype(signal, coefficients, state)
    kernel = _choose(backend, _compiled_all_pole, _looped_all_pole)
    output: Tensor = _AllPole.apply(signal, coefficients, state, kernel)
    return output


def linear_recursion(
    inputs: Float[Tensor, "batch samples size"],
    matrices: Float[Tensor, "batch samples size size"],
    state: Float[Tensor, "batch size"],
    backend: Backend = "philtorch",
) -> Float[Tensor, "batch samples size"]:
    """``h[n] = A[n] h[n - 1] + u[n]``: the state after each sample, from ``h[-1] = state``.

    Raises:
        ValueError: lengths or dtypes differ, or the backend is unknown.
        ModuleNotFoundError: philtorch is asked for and not installed.

    >>> matrices = torch.tensor([[[[0.5]], [[2.0]]]])
    >>> linear_recursion(torch.ones(1, 2, 1), matrices, torch.zeros(1, 1), "torch").flatten()
    tensor([1., 3.])
    """
    if matrices.shape[:3] != inputs.shape or state.shape != inputs[:, 0].shape:
        raise ValueError(
            f"inputs {tuple(inputs.shape)}, matrices {tuple(matrices.shape)} and state "
            f"{tuple(state.shape)} do not match: one square matrix for every sample"
        )
    _require_one_dtype(inputs, matrices, state)
    return _choose(backend, _compiled_linear, _looped_linear)(inputs, matrices, state)


def states_before(
    state: Float[Tensor, "batch size"], states: Float[Tensor, "batch samples size"]
) -> Float[Tensor, "batch samples size"]:
    """The state before each sample: the initial one, then all but the last of
    :func:`linear_recursion`.

    >>> states_before(torch.zeros(1, 1), torch.tensor([[[1.0], [2.0]]])).flatten().tolist()
    [0.0, 1.0]
    """
    return torch.cat([state[:, None], states[:, :-1]], dim=1)


def _require_one_dtype(*tensors: Tensor) -> None:
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) > 1:
        raise ValueError(f"signal, filter and state must have one dtype, not {dtypes}")


def _choose(backend: str, compiled: _Kernel, looped: _Kernel) -> _Kernel:
    if backend == "torch":
        return looped
    if backend != "philtorch":
        raise ValueError(f"unknown backend {backend!r}: 'philtorch' or 'torch'")
    _philtorch()
    return compiled


def _philtorch() -> Any:
    try:
        return importlib.import_module("philtorch.lpv")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the compiled recursions are philtorch's, which is not installed: install "
            "`vocoder[iir]`, or pass backend='torch' for a loop about a hundred times slower"
        ) from error


class _AllPole(torch.autograd.Function):
    """The all-pole recursion by a kernel, and its adjoint by the same kernel."""

    @staticmethod
    def forward(
        ctx: Any, signal: Tensor, coefficients: Tensor, state: Tensor, kernel: _Kernel
    ) -> Tensor:
        output = kernel(signal, coefficients, state)
        ctx.save_for_backward(coefficients, state, output)
        ctx.kernel = kernel
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        coefficients, state, output = ctx.saved_tensors
        batch, n_samples, order = coefficients.shape
        # ahead[n, i] = a_i[n + i], from `order` samples before the first on: a diagonal stride.
        padded = pad(coefficients, (0, 0, order, order)).contiguous()
        ahead = padded.as_strided(
            (batch, n_samples + order, order),
            ((n_samples + 2 * order) * order, order, order + 1),
            order,
        )
        later = pad(gradients[0], (order, 0)).flip(1)
        adjoint = _AllPole.apply(later, ahead.flip(1), torch.zeros_like(state), ctx.kernel)
        of_coefficients = None
        if ctx.needs_input_grad[1]:
            # In reversed time the outputs y[n - 1], y[n - 2], … are in rising order.
            past = torch.cat([state, output[:, :-1]], dim=1).flip(1).unfold(1, order, 1)
            of_coefficients = (past * -adjoint[:, :n_samples, None]).flip(1)
        adjoint = adjoint.flip(1)
        return adjoint[:, order:], of_coefficients, adjoint[:, :order], None


def _compiled_all_pole(signal: Tensor, coefficients: Tensor, state: Tensor) -> Tensor:
    # The kernel needs the newest output first. Strided reads are faster than a contiguous copy.
    output: Tensor = torch.ops.philtorch.lpc(signal, coefficients, state.flip(1))
    return output


def _looped_all_pole(signal: Tensor, coefficients: Tensor, state: Tensor) -> Tensor:
    order = state.shape[1]
    output = torch.cat([state, signal], dim=1)
    oldest_first = coefficients.flip(2)
    for n in range(signal.shape[1]):
        past = output[:, n : n + order]
        output[:, n + order] -= (oldest_first[:, n] * past).sum(dim=1)
    return output[:, order:].contiguous()


def _compiled_linear(inputs: Tensor, matrices: Tensor, state: Tensor) -> Tensor:
    states: Tensor = _philtorch().state_space_recursion(matrices, state, inputs)
    return states


def _looped_linear(inputs: Tensor, matrices: Tensor, state: Tensor) -> Tensor:
    states = []
    for matrix, added in zip(matrices.unbind(1), inputs.unbind(1), strict=True):
        state = torch.baddbmm(added[..., None], matrix, state[..., None])[..., 0]
        states.append(state)
    return torch.stack(states, dim=1)
