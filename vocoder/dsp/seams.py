"""Splitting into overlapping pieces, cross-fading them, and measuring the roughness of seams."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def fold_overlapping(
    values: Float[Tensor, "batch channels steps"], length: int, overlap: int
) -> Float[Tensor, "batch pieces channels length"]:
    """Pieces of ``length`` steps, each starting ``length - overlap`` after the previous one.

    Raises:
        ValueError: the steps do not divide into such pieces: steps - overlap must be a multiple of
            length - overlap, which lies between 1 and length.

    >>> fold_overlapping(torch.arange(7.0)[None, None], 3, 1).tolist()
    [[[[0.0, 1.0, 2.0]], [[2.0, 3.0, 4.0]], [[4.0, 5.0, 6.0]]]]
    """
    _check(length, overlap)
    if values.shape[2] < length or (values.shape[2] - overlap) % (length - overlap):
        raise ValueError(
            f"{values.shape[2]} steps do not divide into pieces of {length} that overlap by "
            f"{overlap}: extend them first"
        )
    return values.unfold(2, length, length - overlap).transpose(1, 2)


def crossfade(
    pieces: Float[Tensor, "batch pieces length"], overlap: int
) -> Float[Tensor, "batch samples"]:
    """Pieces that overlap by ``overlap`` samples as one signal.

    In the overlap the newer piece fades in and the older one out along ``sin²`` and ``cos²``, which
    add up to one: where both pieces agree, the output equals them. Where they are independent, the
    power falls by 3 dB in the middle. The beginning of the first piece and the end of the last are
    not faded. The overlap is at most half a piece, so that three never meet.

    >>> crossfade(torch.ones(1, 3, 4), 2).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    batch, count, length = pieces.shape
    _check(length, overlap)
    if 2 * overlap > length and count > 2:
        raise ValueError(f"pieces of {length} samples overlap by {overlap}, more than half")
    if overlap == 0 or count == 1:
        return pieces.reshape(batch, count * length)
    place = (torch.arange(overlap, dtype=pieces.dtype, device=pieces.device) + 0.5) / overlap
    rise = torch.sin(0.5 * math.pi * place).square()
    step = length - overlap
    signal = pieces.new_zeros(batch, step * count + overlap)
    signal[:, :overlap] = pieces[:, 0, :overlap]
    for index in range(count):
        begin = index * step
        head = pieces[:, index, :overlap]
        if index:
            old = signal[:, begin : begin + overlap]
            signal[:, begin : begin + overlap] = old + rise * (head - old)
        signal[:, begin + overlap : begin + length] = pieces[:, index, overlap:]
    return signal


def seam_roughness_db(
    waveform: Float[Tensor, " samples"], seams: Float[Tensor, " seams"], window: int
) -> float:
    """Roughness of a signal at its seams relative to elsewhere, in dB; near 0 for inaudible seams.

    The roughness of a window is the energy of its second difference (large at jumps and kinks,
    small in smooth speech) over its own energy. The result is the mean log roughness of windows
    centred on the seams minus that of adjacent windows that touch no seam. Windows 60 dB below the
    loudest are excluded.

    Args:
        seams: sample positions.
        window: samples; about the length of the cross-fade.

    Returns:
        dB; NaN if either group has no audible window.

    >>> tone = torch.sin(0.05 * torch.arange(4000.0))
    >>> joined = torch.cat([tone[:2000], -tone[2000:]])
    >>> seam_roughness_db(tone, torch.tensor([2000.0]), 100) < 0.1
    True
    >>> seam_roughness_db(joined, torch.tensor([2000.0]), 100) > 20
    True
    """
    half = window // 2
    bend = torch.nn.functional.pad(waveform.diff(n=2), (1, 1))
    at_seams = [round(float(seam)) - half for seam in seams]
    at_seams = [begin for begin in at_seams if 0 <= begin <= len(waveform) - window]
    elsewhere = [
        begin
        for begin in range(0, len(waveform) - window + 1, window)
        if all(abs(begin - seam) >= window for seam in at_seams)
    ]

    def energies(signal: Tensor, begins: list[int]) -> Tensor:
        windows = [signal[begin : begin + window].double().square().sum() for begin in begins]
        return torch.stack(windows) if windows else signal.new_zeros(0).double()

    levels = energies(waveform, at_seams), energies(waveform, elsewhere)
    threshold = 1e-6 * torch.cat(levels).max() if len(at_seams) + len(elsewhere) else 0.0
    means = []
    for begins, energy in zip((at_seams, elsewhere), levels, strict=True):
        audible = energy > threshold
        roughness = energies(bend, begins)[audible] / energy[audible]
        means.append(float((10 * torch.log10(roughness.clamp(min=1e-30))).mean()))
    return means[0] - means[1]


def _check(length: int, overlap: int) -> None:
    if not 0 <= overlap < length:
        raise ValueError(f"pieces of {length} cannot overlap by {overlap}")
