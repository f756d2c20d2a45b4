"""Linear prediction and all-pole filters.

The prediction polynomial is ``A(z) = 1 + Σ_{i=1}^{p} a_i z^-i``; ``coefficients`` holds
``a_1 … a_p``, and an all-pole filter is ``1 / A(z)``. It can be constant within a frame
(:func:`all_pole`), change with every sample (:func:`all_pole_samples`), or be approximated by
overlapping frames (:func:`all_pole_overlapped`).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.analysis.prediction import predictor_from_line_spectra, predictor_from_reflection
from vocoder.dsp.filters.recursion import Backend, all_pole_recursion
from vocoder.dsp.framing import hold_ends, interpolate_linear, overlap_add

_BLOCK_ELEMENTS = 4_000_000
"""Matrix elements solved at a time; bounds the memory for long signals."""


def autocorrelation(
    frames: Float[Tensor, "*batch samples"], order: int
) -> Float[Tensor, "*batch lags"]:
    """``r_k = Σ_n x[n] x[n + k]`` for ``k = 0 … order`` of each frame, zero outside.

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
    """The predictor of least error for lags ``r_0 … r_p``, and that error.

    ``a`` solves ``Σ_j r_{|i-j|} a_j = -r_i``, i = 1 … p; the error is ``r_0 + Σ_i a_i r_i``.
    Recursively, by order:

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
    """``y[n] = x[n] - Σ_i a_i y[n - i]`` with coefficients held for ``samples / frames`` samples
    each; also returns the last ``order`` values of y, oldest first, as the next state.

    Within a frame the recursion is one triangular Toeplitz system, ``T y = x - P s`` with s the
    outputs before the frame: T⁻¹x and T⁻¹P are solved for all frames at once, and only ``y = T⁻¹x -
        (T⁻¹P) s`` runs from frame to frame. This is the exact recursion in direct form: past
        outputs are kept when the coefficients change. Differentiable in all inputs.

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


def all_pole_samples(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch samples order"],
    state: Float[Tensor, "batch order"] | None = None,
    backend: Backend = "philtorch",
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch order"]]:
    """``y[n] = x[n] - Σ_i a_i[n] y[n - i]`` with separate coefficients for every sample; also
    returns the last ``order`` values of y, oldest first, as the next state.

    Direct form: coefficients that are stable at every sample (:func:`interpolated_predictor`) do
    not guarantee a stable time-varying filter. If ``Σ_i |a_i[n]| ≤ ρ < 1`` throughout, ``|y| ≤ max
    |x| / (1 - ρ)``; for more resonant filters that change at audio rate use
    :func:`~vocoder.dsp.filters.lattice.all_pole_lattice`.

    Args:
        state: outputs before the first sample, oldest first; zero when absent.

    Raises:
        ValueError: the number of coefficient sets differs from the number of samples.

    >>> a = torch.tensor([[[-0.5], [-0.5], [0.0]]])
    >>> y, state = all_pole_samples(torch.tensor([[1.0, 0.0, 2.0]]), a, backend="torch")
    >>> y.tolist(), state.tolist()
    ([[1.0, 0.5, 2.0]], [[2.0]])
    """
    if state is None:
        state = signal.new_zeros(signal.shape[0], coefficients.shape[2])
    output = all_pole_recursion(signal, coefficients, state, backend)
    return output, torch.cat([state, output], dim=1)[:, output.shape[1] :]


def interpolated_predictor(
    boundaries: Float[Tensor, "batch frames_plus_one order"],
    hop_length: int,
    kind: Literal["reflection", "line_spectra"],
) -> Float[Tensor, "batch samples order"]:
    """Coefficients of stable filters for every sample, by linear interpolation of reflection
    coefficients or line spectral frequencies (radians per sample) between frame boundaries.

    Raises:
        ValueError: the kind is unknown.

    >>> boundaries = torch.tensor([[[0.0], [0.5]]])
    >>> interpolated_predictor(boundaries, 2, "reflection").flatten().tolist()
    [0.0, 0.25]
    """
    order = boundaries.shape[2]
    lines = interpolate_linear(boundaries.mT.flatten(0, 1), hop_length)
    values = lines.unflatten(0, (-1, order)).mT
    if kind == "reflection":
        return predictor_from_reflection(values)
    if kind == "line_spectra":
        return predictor_from_line_spectra(values)
    raise ValueError(f"unknown kind {kind!r}: 'reflection' or 'line_spectra'")


def all_pole_overlapped(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch frames order"],
    n_fft: int,
) -> Float[Tensor, "batch samples"]:
    """Frames under a Hann window, each filtered by its own all-pole filter, then overlap-added.

    The windows are two hops long, centred on the middles of the frames of ``samples / frames``
    samples, and add up to one; at the ends the first and last filters are held. A response is the
    inverse of the polynomial's transform on ``n_fft`` bins: responses longer than ``n_fft`` wrap
    around. There is no recursion, so the cost is a few FFTs for any order; but the ringing of a
    frame follows its own filter, not those of later frames.

    Args:
        n_fft: a multiple of the hop, longer than two hops plus the responses.

    Raises:
        ValueError: the frames do not divide the samples, or ``n_fft`` is invalid.

    Source: the frame-wise filter of C.-Y. Yu and G. Fazekas, "Singing voice synthesis using
    differentiable LPC and glottal-flow-inspired wavetables", ISMIR 2023.

    >>> pulse = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    >>> y = all_pole_overlapped(pulse, torch.full((1, 2, 1), -0.5), 32)
    >>> torch.allclose(y[0, 2:5], torch.tensor([1.0, 0.5, 0.25]), atol=1e-6)
    True
    """
    n_samples, (n_frames, order) = signal.shape[1], coefficients.shape[1:]
    hop = n_samples // n_frames
    if hop * n_frames != n_samples or hop % 2:
        raise ValueError(
            f"{n_samples} samples cannot be shared out to {n_frames} filters, an even number each"
        )
    if n_fft % hop or n_fft <= max(2 * hop, order):
        raise ValueError(f"n_fft of {n_fft} is no multiple of the hop of {hop} above two hops")
    # Starts half a hop before the first sample, with one more filter on either side.
    windows = pad(signal, (3 * hop // 2, 3 * hop // 2)).unfold(1, 2 * hop, hop)
    window = torch.hann_window(2 * hop, dtype=torch.float64, device=signal.device)
    filters = pad(hold_ends(coefficients, 1, 1), (1, 0), value=1.0)
    spectrum = torch.fft.rfft(windows * window.to(signal.dtype), n=n_fft)
    frames = torch.fft.irfft(spectrum / torch.fft.rfft(filters, n=n_fft), n=n_fft)
    return overlap_add(frames, hop)[:, 3 * hop // 2 : 3 * hop // 2 + n_samples]


def _solve(
    frames: Float[Tensor, "batch frames hop"], coefficients: Float[Tensor, "batch frames order"]
) -> tuple[Float[Tensor, "batch frames hop"], Float[Tensor, "batch frames hop order"]]:
    """T⁻¹x and T⁻¹P of :func:`all_pole` for every frame."""
    hop_length, order = frames.shape[2], coefficients.shape[2]
    here = torch.arange(hop_length, device=frames.device)[:, None]
    before = torch.arange(-order, 0, device=frames.device)
    # Row n, column m: the coefficient of output m in the equation of sample n.
    table = torch.nn.functional.pad(coefficients, (1, 1))
    table[..., 0] = 1.0
    system, past = (
        table[..., torch.where((lag >= 0) & (lag <= order), lag, order + 1)]
        for lag in (here - here.T, here - before)
    )
    right = torch.cat([frames[..., None], past], dim=-1)
    solved = torch.linalg.solve_triangular(system, right, upper=False, unitriangular=True)
    return solved[..., 0], solved[..., 1:]
