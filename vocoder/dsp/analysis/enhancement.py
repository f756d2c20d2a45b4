"""Noise reduction in the short-time spectrum, by the classical rules.

The noisy spectrum's power ``|Y|²`` and an estimate of the noise's ``|N|²`` give a real gain for
each frame and bin; the spectrum is multiplied by it and transformed back. Frames are those of
``spectral_filter.short_time_spectrum``. The noise is described by its mean power in each bin,
measured on noise alone (:func:`noise_power`) or tracked under speech (:func:`minimum_statistics`).
"""

import math
from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.filters.spectral_filter import from_short_time_spectrum, short_time_spectrum


def noise_power(
    noise: Float[Tensor, "batch samples"], n_fft: int, hop_length: int
) -> Float[Tensor, "batch bins"]:
    """Mean power of the short-time spectrum of a noise signal.

    Frames that reach beyond its ends are left out.

    Raises:
        ValueError: fewer samples than a frame, or no multiple of the hop.

    >>> noise_power(torch.zeros(1, 16), 8, 2).tolist()
    [[0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    if noise.shape[1] < n_fft:
        raise ValueError(f"{noise.shape[1]} samples of noise for frames of {n_fft}: give more")
    power = _power(short_time_spectrum(noise, n_fft, hop_length))
    beyond = n_fft // hop_length - 1
    return power[:, beyond : power.shape[1] - beyond].mean(dim=1)


def minimum_statistics(
    power: Float[Tensor, "batch frames bins"],
    overlap: int,
    window: int = 160,
    smoothing: float = 0.9,
    state: Float[Tensor, "batch past bins"] | None = None,
) -> tuple[Float[Tensor, "batch frames bins"], Float[Tensor, "batch kept bins"]]:
    """Noise power under speech: the minimum of the smoothed power in the last ``window`` frames.

    ``P_t = a P_{t-1} + (1 - a) |Y_t|²``; its minimum over D frames is reached by noise between
    words, and is corrected to the mean by the factor for Gaussian noise. The smoothing is constant,
    not the signal-dependent one of Martin's later paper (2001); his factors are for frames that
    overlap by half.

    Args:
        power: of frames under the windows of ``short_time_spectrum``.
        overlap: ``n_fft / hop_length``.
        window: D, longer than a word: 1 to 2 seconds.
        smoothing: a, in [0, 1). For a ≥ 0.85 and D ≥ 40 the error is below 0.5 dB.
        state: smoothed powers of up to D - 1 previous frames, oldest first.

    Returns:
        The estimate for each frame from it and previous frames, and the final state.

    Raises:
        ValueError: a window or smoothing out of range.

    Source: R. Martin, "Spectral subtraction based on minimum statistics", EUSIPCO 1994.

    >>> noise, _ = minimum_statistics(torch.tensor([[[1.0], [1.0], [9.0]]]), 4, window=2)
    >>> bool(noise[0, 1, 0] == noise[0, 0, 0])
    True
    """
    if window < 2 or not 0 <= smoothing < 1:
        raise ValueError(
            f"a window of {window} frames smoothed by {smoothing}: at least 2 frames, and from 0 "
            "to below 1"
        )
    kept = [] if state is None else list(state.unbind(1))
    last = kept[-1] if kept else power[:, 0]
    for frame in power.unbind(1):
        last = torch.lerp(frame, last, smoothing)
        kept.append(last)
    past = len(kept) - power.shape[1]
    history = torch.stack(kept, dim=1)
    missing = (
        history[:, :1]
        .new_full((1, 1, 1), math.inf)
        .expand(power.shape[0], window - 1 - past, power.shape[2])
    )
    least = torch.cat([missing, history], dim=1).unfold(1, window, 1).amin(dim=-1)
    return least / _shrinkage(overlap, window, smoothing), history[:, -(window - 1) :]


def subtraction_gain(
    power: Float[Tensor, "batch frames bins"],
    noise: Float[Tensor, "batch frames bins"],
    over: float | Float[Tensor, "batch frames"] = 1.0,
    floor: float = 0.02,
    exponent: float = 2.0,
) -> Float[Tensor, "batch frames bins"]:
    """Gain of spectral subtraction, ``|S|^γ = max(|Y|^γ - α |N|^γ, β |N|^γ)``, at most one.

    Over-subtraction α removes the noise's peaks; the floor β masks the residual peaks, which are
    audible as musical noise. γ = 1 subtracts magnitudes as Boll did, γ = 2 powers.

    Args:
        over: α, such as that of :func:`oversubtraction`.
        floor: β.
        exponent: γ.

    Source: S. F. Boll, IEEE TASSP 27, 1979; M. Berouti, R. Schwartz, J. Makhoul, ICASSP 1979.

    >>> power, noise = torch.tensor([[[4.0, 1.0]]]), torch.tensor([[[1.0, 1.0]]])
    >>> subtraction_gain(power, noise, floor=0.0625).square().tolist()
    [[[0.75, 0.0625]]]
    """
    tiny = torch.finfo(power.dtype).tiny
    ratio = (noise / power.clamp(min=tiny)) ** (exponent / 2)
    alpha = over[:, :, None] if isinstance(over, Tensor) else over
    # In silence the ratio, and with it the floor, may be infinite.
    left = torch.maximum(1 - alpha * ratio, (floor * ratio).clamp(max=1.0))
    return left.clamp(min=tiny) ** (1 / exponent)


def oversubtraction(
    power: Float[Tensor, "batch frames bins"], noise: Float[Tensor, "batch frames bins"]
) -> Float[Tensor, "batch frames"]:
    """Over-subtraction by a frame's SNR, ``α = 4 - 3/20 SNR`` (dB) from -5 to 20 dB.

    The SNR is that of the noisy frame's power over the noise's: 4.75 at -5 dB, 1 from 20 dB on.

    Source: Berouti et al., ICASSP 1979.

    >>> oversubtraction(torch.tensor([[[10.0], [100.0]]]), torch.ones(1, 2, 1)).tolist()
    [[2.5, 1.0]]
    """
    tiny = torch.finfo(power.dtype).tiny
    ratio = power.sum(dim=2).clamp(min=tiny) / noise.sum(dim=2).clamp(min=tiny)
    return 4 - 3 / 20 * (10 * torch.log10(ratio)).clamp(-5, 20)


def wiener_gain(
    power: Float[Tensor, "batch frames bins"],
    noise: Float[Tensor, "batch frames bins"],
    weight: float = 0.98,
    least_snr_db: float = -25.0,
    state: Float[Tensor, "batch bins"] | None = None,
) -> tuple[Float[Tensor, "batch frames bins"], Float[Tensor, "batch bins"]]:
    """Wiener gain ``ξ / (1 + ξ)``, the a-priori SNR ξ by the decision-directed rule.

        ξ_t = w |S_{t-1}|² / |N_{t-1}|² + (1 - w) max(|Y_t|² / |N_t|² - 1, 0)

    with S the output of the previous frame. This averaging keeps the gain steady in noise, which
    avoids musical noise, and lets it rise within a frame or two at an onset.

    Args:
        weight: w, in [0, 1).
        least_snr_db: lower limit of ξ, and thus of the gain.
        state: ``|S|² / |N|²`` of the previous frame; one when absent.

    Returns:
        Gains, and the final state.

    Source: Y. Ephraim and D. Malah, IEEE TASSP 32, 1984, eq. 51; with the Wiener gain P. Scalart
    and J. V. Filho, ICASSP 1996.

    >>> gain, _ = wiener_gain(torch.full((1, 1, 1), 4.0), torch.ones(1, 1, 1), weight=0.5)
    >>> round(gain.item(), 4)  # ξ = 0.5 + 0.5 · 3
    0.6667
    """
    tiny = torch.finfo(power.dtype).tiny
    # Without noise the SNR is limited too, to keep its square finite.
    posterior = (power / noise.clamp(min=tiny)).clamp(max=1e10)
    before = power.new_ones(power.shape[0], power.shape[2]) if state is None else state
    least = 10 ** (least_snr_db / 10)
    gains = []
    for now in posterior.unbind(1):
        prior = weight * before + (1 - weight) * (now - 1).clamp(min=0)
        prior = prior.clamp(min=least)
        gains.append(prior / (1 + prior))
        before = gains[-1].square() * now
    return torch.stack(gains, dim=1), before


def spectral_subtraction(
    signal: Float[Tensor, "batch samples"],
    n_fft: int,
    hop_length: int,
    noise: Float[Tensor, "batch bins"] | None = None,
    floor: float = 0.02,
) -> Float[Tensor, "batch samples"]:
    """Noise reduction by :func:`subtraction_gain` on powers, with the α of :func:`oversubtraction`.

    Args:
        n_fft: frame length, an even multiple of the hop; 20 to 40 ms.
        noise: the :func:`noise_power`; estimated by :func:`minimum_statistics` when absent.

    Raises:
        ValueError: samples that are no multiple of the hop, or a frame that is no even multiple.

    >>> spectral_subtraction(torch.zeros(1, 16), 8, 2).abs().max().item()
    0.0
    """
    spectrum = short_time_spectrum(signal, n_fft, hop_length)
    power = _power(spectrum)
    noise = _noise(power, noise, n_fft // hop_length)
    gain = subtraction_gain(power, noise, oversubtraction(power, noise), floor)
    return from_short_time_spectrum(spectrum * gain, n_fft, hop_length)


def wiener_filter(
    signal: Float[Tensor, "batch samples"],
    n_fft: int,
    hop_length: int,
    noise: Float[Tensor, "batch bins"] | None = None,
    least_snr_db: float = -25.0,
) -> Float[Tensor, "batch samples"]:
    """Noise reduction by :func:`wiener_gain`.

    Arguments and errors are those of :func:`spectral_subtraction`.

    >>> wiener_filter(torch.zeros(1, 16), 8, 2).abs().max().item()
    0.0
    """
    spectrum = short_time_spectrum(signal, n_fft, hop_length)
    power = _power(spectrum)
    noise = _noise(power, noise, n_fft // hop_length)
    gain, _ = wiener_gain(power, noise, least_snr_db=least_snr_db)
    return from_short_time_spectrum(spectrum * gain, n_fft, hop_length)


def _power(spectrum: Tensor) -> Float[Tensor, "batch frames bins"]:
    return spectrum.real.square() + spectrum.imag.square()


def _noise(
    power: Float[Tensor, "batch frames bins"],
    given: Float[Tensor, "batch bins"] | None,
    overlap: int,
) -> Float[Tensor, "batch frames bins"]:
    if given is not None:
        return given[:, None].expand_as(power)
    # The first and last frames extend beyond the signal: their minimum is not the noise power.
    inner = power[:, overlap - 1 : power.shape[1] - overlap + 1]
    if inner.shape[1] == 0:
        raise ValueError("a signal shorter than a frame has no minimum statistics: give its noise")
    found, _ = minimum_statistics(inner, overlap)
    first, last = (x.expand(-1, overlap - 1, -1) for x in (found[:, :1], found[:, -1:]))
    return torch.cat([first, found, last], dim=1)


def _shrinkage(overlap: int, window: int, smoothing: float) -> float:
    """Expected minimum of ``window`` smoothed powers of Gaussian noise, their mean being one.

    A smoothed power is approximately χ² with Q degrees of freedom, divided by Q. The minimum of n
    independent ones lies where the distribution function is 1 / (n + 1), by Wilson and Hilferty at
    ``(1 - k + z √k)³`` with k = 2 / (9 Q) and z the normal quantile. Neighbours correlate over τ
    frames, their extremes less, so that 2 (D - 1) / τ of them count as independent. The factor 2 is
    fitted: estimates on white noise are then within half a dB.
    """
    # Powers in two frames correlate as the squared correlation of their windows, here half sines: 2
    # ∫ sin πx sin π(x + s) dx = (1 - s) cos πs + sin πs / π.
    shared = [
        (1 - s) * math.cos(math.pi * s) + math.sin(math.pi * s) / math.pi
        for s in (lag / overlap for lag in range(1, overlap))
    ]
    faded = sum(smoothing**lag * x**2 for lag, x in enumerate(shared, start=1))
    variance = (1 - smoothing) / (1 + smoothing) * (1 + 2 * faded)
    correlation_time = (1 + 2 * sum(x**2 for x in shared)) / variance
    independent = 1 + 2 * (window - 1) / correlation_time
    k = variance / 9
    return (1 - k + NormalDist().inv_cdf(1 / (1 + independent)) * math.sqrt(k)) ** 3
