"""Pre-emphasis, which tilts a spectrum upwards before analysis, and its inverse."""

import torch
from jaxtyping import Float
from torch import Tensor


def pre_emphasis(
    signal: Float[Tensor, "batch samples"],
    coefficient: float,
    state: Float[Tensor, " batch"] | None = None,
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, " batch"]]:
    """``y[n] = x[n] - c x[n - 1]`` with c from 0 to below 1, and the last input sample as the next
    state.

    The gain is ``1 - c`` at 0 Hz and ``1 + c`` at Nyquist; 0.97 and 0.85 are usual in speech.

    Args:
        state: the previous input sample; zero when absent.

    Raises:
        ValueError: a coefficient outside 0 … 1, or a signal without a sample.

    >>> pre_emphasis(torch.tensor([[1.0, 1.0, 0.0]]), 0.5)
    (tensor([[ 1.0000,  0.5000, -0.5000]]), tensor([0.]))
    """
    _check(signal, coefficient)
    first = signal.new_zeros(signal.shape[0]) if state is None else state
    before = torch.cat([first[:, None], signal[:, :-1]], dim=1)
    return signal - coefficient * before, signal[:, -1]


def de_emphasis(
    signal: Float[Tensor, "batch samples"],
    coefficient: float,
    state: Float[Tensor, " batch"] | None = None,
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, " batch"]]:
    """``y[n] = x[n] + c y[n - 1]``, the inverse of :func:`pre_emphasis`, and the last output sample
    as the next state.

    Computed without loops over samples, as a product of filters of doubling length:

        1 / (1 - c z⁻¹) = (1 + c z⁻¹) (1 + c² z⁻²) (1 + c⁴ z⁻⁴) …

    up to the length of the signal.

    Args:
        state: the previous output sample; zero when absent.

    Raises:
        ValueError: as :func:`pre_emphasis`.

    >>> de_emphasis(torch.tensor([[1.0, 0.5, -0.5]]), 0.5)
    (tensor([[1., 1., 0.]]), tensor([0.]))
    """
    _check(signal, coefficient)
    output = signal
    if state is not None:
        first = signal[:, :1] + coefficient * state[:, None]
        output = torch.cat([first, signal[:, 1:]], dim=1)
    reach, gain = 1, coefficient
    while reach < signal.shape[1] and gain > 0:
        late = torch.nn.functional.pad(output[:, :-reach], (reach, 0))
        output = output + gain * late
        reach, gain = 2 * reach, gain * gain
    return output, output[:, -1]


def _check(signal: Tensor, coefficient: float) -> None:
    if not 0 <= coefficient < 1:
        raise ValueError(f"a coefficient of {coefficient}: give one from 0 to below 1")
    if signal.shape[1] == 0:
        raise ValueError("a signal of 0 samples leaves nothing to go on with: give at least one")
