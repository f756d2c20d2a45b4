"""Linear prediction and all-pole filters.

The prediction polynomial is ``A(z) = 1 + Σ_{i=1}^{p} a_i z^-i``; ``coefficients`` holds
``a_1 … a_p``, and an all-pole filter is ``1 / A(z)``.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_BLOCK_ELEMENTS = 4_000_000
"""Matrix elements solved at a time, so that a long signal needs no more memory than a short one."""


def autocorrelation(
    frames: Float[Tensor, "*batch samples"], order: int
) -> Float[Tensor, "*batch lags"]:
    """``r_k = Σ_n x[n] x[n + k]`` for ``k = 0 … order`` of each frame, which is zero outside.

    >>> autocorrelation(torch.tensor([1.0, 2.0, 3.0]), 2).tolist()
    [14.0, 8.0, 3.0]
    """
    n = frames.shape[-1]
    if not 0 <= order < n:
        raise ValueError(f"{order} lags do not fit into frames of {n} samples")
    lags = [(frames[..., : n - k] * frames[..., k:]).sum(dim=-1) for k in range(order + 1)]
    return torch.stack(lags, dim=-1)


def levinson_durbin(
    autocorrelation: Float[Tensor, "*batch lags"],
) -> tuple[Float[Tensor, "*batch order"], Float[Tensor, "*batch"]]:
    """The predictor of least error, and that error, of ``r_0 … r_p``.

    ``a`` solves ``Σ_j r_{|i-j|} a_j = -r_i``, i = 1 … p; the error is ``r_0 + Σ_i a_i r_i``. One
    order after the other:

        k_m = -(r_m + Σ_{i<m} a_i r_{m-i}) / e_{m-1},   a_i += k_m a_{m-i},   a_m = k_m,
        e_m = (1 - k_m²) e_{m-1}

    For lags of a real signal every ``|k_m| < 1``, so that ``1 / A(z)`` is stable.

    Raises:
        ValueError: ``r_0`` is not positive; silent frames need a floor first.

    Source: J. Makhoul, "Linear prediction: a tutorial review", Proc. IEEE 63, 1975, eq. 38.

    >>> coefficients, error = levinson_durbin(torch.tensor([4.0, 2.0, 2.5]))
    >>> coefficients.tolist(), error.item()
    ([-0.25, -0.5], 2.25)
    """
    error = autocorrelation[..., 0]
    if not bool((error > 0).all()):
        raise ValueError("no energy to predict in some frame: add a little to its lag 0")
    coefficients = autocorrelation[..., :0]
    for m in range(1, autocorrelation.shape[-1]):
        past = autocorrelation[..., 1:m].flip(-1)
        reflection = -(autocorrelation[..., m] + (coefficients * past).sum(dim=-1)) / error
        k = reflection[..., None]
        coefficients = torch.cat([coefficients + k * coefficients.flip(-1), k], dim=-1)
        error = error * (1 - reflection.square())
    return coefficients, error


def all_pole(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch frames order"],
    state: Float[Tensor, "batch order"] | None = None,
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch order"]]:
    """``y[n] = x[n] - Σ_i a_i y[n - i]`` with coefficients that hold for ``samples / frames``
    samples each, and the last ``order`` values of y, oldest first, to go on with.

    Within a frame the recursion is one triangular Toeplitz system, ``T y = x - P s`` with s the
    outputs before the frame: T⁻¹x and T⁻¹P are solved for all frames at once, and only
    ``y = T⁻¹x - (T⁻¹P) s`` goes from frame to frame. This is the recursion itself, in direct form:
    past outputs stay what they were when the coefficients change. Differentiable in everything.

    Args:
        state: outputs before the first sample, oldest first; zero when absent.

    >>> y, state = all_pole(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([[[-0.5], [0.0]]]))
    >>> y.tolist(), state.tolist()
    ([[1.0, 0.5, 0.0, 0.0]], [[0.0]])
    """
    n_samples, (n_frames, order) = signal.shape[1], coefficients.shape[1:]
    hop_length = n_samples // n_frames
    if hop_length * n_frames != n_samples:
        raise ValueError(f"{n_samples} samples cannot be shared out to {n_frames} filters")
    if state is None:
        state = signal.new_zeros(signal.shape[0], order)
    frames = signal.unflatten(1, (n_frames, hop_length))
    block = max(1, _BLOCK_ELEMENTS // (signal.shape[0] * hop_length**2))
    output = []
    for start in range(0, n_frames, block):
        part = slice(start, start + block)
        own, answers = _solve(frames[:, part], coefficients[:, part])
        for forced, free in zip(own.unbind(1), answers.unbind(1), strict=True):
            y = forced - (free @ state[:, :, None])[:, :, 0]
            output.append(y)
            state = torch.cat([state, y], dim=1)[:, y.shape[1] :]
    return torch.cat(output, dim=1), state


def _solve(
    frames: Float[Tensor, "batch frames hop"], coefficients: Float[Tensor, "batch frames order"]
) -> tuple[Float[Tensor, "batch frames hop"], Float[Tensor, "batch frames hop order"]]:
    """T⁻¹x and T⁻¹P of :func:`all_pole` for every frame."""
    hop_length, order = frames.shape[2], coefficients.shape[2]
    here = torch.arange(hop_length, device=frames.device)[:, None]
    before = torch.arange(-order, 0, device=frames.device)
    # Row n, column m: the coefficient by which the output m counts in the equation of sample n.
    table = torch.nn.functional.pad(coefficients, (1, 1))
    table[..., 0] = 1.0
    system, past = (
        table[..., torch.where((lag >= 0) & (lag <= order), lag, order + 1)]
        for lag in (here - here.T, here - before)
    )
    right = torch.cat([frames[..., None], past], dim=-1)
    solved = torch.linalg.solve_triangular(system, right, upper=False, unitriangular=True)
    return solved[..., 0], solved[..., 1:]
