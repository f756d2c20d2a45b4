"""The all-pole filter as a normalised ladder, stable under any modulation.

In direct form, a filter that is stable at every moment can grow without bound while its
coefficients change. The ladder is a sequence of rotations: the energy of its states grows at most
by the input's energy.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.filters.recursion import Backend, linear_recursion


def all_pole_lattice(
    signal: Float[Tensor, "batch samples"],
    reflection: Float[Tensor, "batch samples order"],
    state: Float[Tensor, "batch order"] | None = None,
    backend: Backend = "philtorch",
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch order"]]:
    """Normalised ladder of reflection coefficients for every sample, and its last state. For
    i = p … 1, from ``f_p = x`` to ``y = b_0 = f_0``, with ``c_i = √(1 - k_i²)``:

        f_{i-1}[n] = c_i f_i[n] - k_i b_{i-1}[n - 1]
        b_i[n]     = k_i f_i[n] + c_i b_{i-1}[n - 1]

    With constant coefficients this is ``Π_i c_i / A(z)``, which maps white noise of unit power to a
    signal of unit power. Each pair is a rotation, so that for any sequence of coefficients

        Σ_i b_i[n]² = Σ_i b_i[n - 1]² + x[n]² - b_p[n]²,   i = 0 … p - 1:

    the states' energy, and with it y², never exceeds the initial energy plus the input's.

    The rotations of a sample are combined into one matrix of ``order²`` terms, which costs memory:
    use :func:`~vocoder.dsp.filters.allpole.all_pole_samples` for slowly varying coefficients, as in
    speech.

    Args:
        reflection: strictly between -1 and 1.
        state: b_0 … b_{p-1} of the previous sample; silence when absent.

    Raises:
        ValueError: a reflection coefficient is not between -1 and 1.

    Source: A. H. Gray and J. D. Markel, "A normalized digital filter structure", IEEE Trans. ASSP
    23, 1975.

    >>> k = torch.tensor([[[0.6], [0.6]]])
    >>> y, state = all_pole_lattice(torch.tensor([[1.0, 0.0]]), k, backend="torch")
    >>> [round(value, 4) for value in y[0].tolist()]
    [0.8, -0.48]
    """
    if not bool((reflection.abs() < 1).all()):
        raise ValueError("reflection coefficients lie strictly between -1 and 1")
    order = reflection.shape[2]
    if state is None:
        state = signal.new_zeros(signal.shape[0], order)
    unit = torch.eye(order + 1, dtype=signal.dtype, device=signal.device)
    cosines = torch.sqrt(1 - reflection * reflection)
    # f as a linear function of the previous b_0 … b_{p-1} and, last, of the input.
    forward = unit[order].expand(*reflection.shape[:2], order + 1)
    rows = []
    for i in range(order - 1, -1, -1):
        k, c = reflection[..., i : i + 1], cosines[..., i : i + 1]
        rows.append(k * forward + c * unit[i])
        forward = c * forward - k * unit[i]
    # b_p, the first row, is dropped.
    table = torch.stack([forward, *rows[:0:-1]], dim=-2)
    inputs = table[..., order] * signal[..., None]
    states = linear_recursion(inputs, table[..., :order], state, backend)
    return states[..., 0], states[:, -1]
