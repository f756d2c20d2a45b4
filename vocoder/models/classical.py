"""Classical vocoders without training: Griffin-Lim, the baseline for mel vocoders."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.analysis.inverse_stft import first_sample, inverse_stft
from vocoder.dsp.framing import fit_length, hann_window
from vocoder.errors import MelError
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, Vocoder, draw_uniform

_NNLS_UPDATES = 60
_TINY = 1e-8


def griffin_lim(
    mel: Float[Tensor, "batch n_mels frames"],
    spec: MelSpec,
    iterations: int = 32,
    momentum: float = 0.99,
    generator: Generators = None,
) -> Float[Tensor, "batch samples"]:
    """A waveform whose short-time spectrum has approximately the magnitudes S of the mel.

    Starting from random phase, alternate between spectra of real signals (C: inverse transform,
    then transform) and those of magnitude S, with the fast variant's extrapolation:

        c_k = C(S e^{i φ_k}),   φ_{k+1} = arg(c_k - m / (1 + m) c_{k-1})

    S comes from the mel by `mel_to_magnitude`. The iteration works on the whole span of all frames,
    for both paddings of `spec` and any number of frames; the span is cropped at the end.

    Args:
        mel: (batch, n_mels, frames) of `spec`.
        spec: the description of the mel.
        iterations: 32 in most comparisons, 60 for slightly better quality.
        momentum: m, 0 for the original algorithm.
        generator: of the initial phase.

    Returns:
        (batch, frames * hop_length) samples, not clipped.

    Raises:
        MelError: the mel does not fit `spec`, or `iterations` or `momentum` are out of range.

    Source: Griffin, Lim, "Signal estimation from modified short-time Fourier transform", IEEE
    TASSP 1984; Perraudin, Balazs, Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.
    """
    if iterations < 1:
        raise MelError(f"Griffin-Lim needs at least one iteration, got {iterations}")
    if not 0.0 <= momentum <= 1.0:
        raise MelError(f"Griffin-Lim's momentum lies in [0, 1], got {momentum:g}")
    magnitude = mel_to_magnitude(mel, spec)
    window = hann_window(spec.win_length, magnitude.dtype, magnitude.device)
    # Centred in the transform, as `torch.stft` does it.
    left = (spec.n_fft - spec.win_length) // 2
    window = pad(window, (left, spec.n_fft - spec.win_length - left))
    angle = 2 * torch.pi * draw_uniform(magnitude.shape, generator, magnitude)
    phase = torch.polar(torch.ones_like(angle), angle)
    previous = torch.zeros_like(phase)
    for _ in range(iterations):
        span = inverse_stft((magnitude * phase).mT, spec.hop_length, None, window)
        consistent = torch.stft(
            span, spec.n_fft, spec.hop_length, window=window, center=False, return_complex=True
        )
        phase = consistent - momentum / (1 + momentum) * previous
        phase = phase / phase.abs().clamp(min=_TINY)
        previous = consistent
    span = inverse_stft((magnitude * phase).mT, spec.hop_length, None, window)
    lead = first_sample(spec.n_fft, spec.hop_length, spec.padding)
    return fit_length(span[:, lead:], mel.shape[-1] * spec.hop_length)


def mel_to_magnitude(
    mel: Float[Tensor, "batch n_mels frames"], spec: MelSpec
) -> Float[Tensor, "batch bins frames"]:
    """Estimated magnitudes S of the short-time spectrum of a mel.

    S^power solves min ||F S^power - M||² over S >= 0, F the filterbank and M the mel's energies:
    the pseudo-inverse, clipped, then multiplicative updates x <- x (Fᵀ M) / (Fᵀ F x), which stay
    positive and never increase the distance. Bins outside every filter stay at zero. With
    pre-emphasis its response |1 - a e^{-iω}| is divided out.

    Raises:
        MelError: the mel does not fit `spec`.

    Source: Lee, Seung, "Algorithms for non-negative matrix factorization", NIPS 2000, eq. 4.
    """
    spec.check(mel)
    energy = (spec.power * spec.log_amplitude(mel.float())).exp()
    filters = spec.filterbank()
    # Multiplicative updates need a positive start, also in the pseudo-inverse's negative bins.
    inverse = torch.linalg.pinv(filters).to(energy)
    filters = filters.to(energy)
    weight = filters.sum(0)
    transposed = filters.T @ energy
    smooth = transposed / (filters.T @ filters.sum(1, keepdim=True)).clamp(min=_TINY)
    estimate = torch.maximum(inverse @ energy, 0.01 * smooth) * (weight > 0)[:, None]
    for _ in range(_NNLS_UPDATES):
        estimate = estimate * transposed / (filters.T @ (filters @ estimate)).clamp(min=1e-20)
    magnitude = estimate.pow(1 / spec.power)
    if spec.pre_emphasis:
        omega = torch.linspace(0, torch.pi, magnitude.shape[1], dtype=torch.float64)
        response = (1 - torch.polar(torch.full_like(omega, spec.pre_emphasis), -omega)).abs()
        magnitude = magnitude / response.to(magnitude)[:, None]
    return magnitude


class GriffinLim(Vocoder):
    """:func:`griffin_lim` with the interface of a vocoder."""

    serves_any_mel = True

    def __init__(self, spec: MelSpec, iterations: int = 32) -> None:
        super().__init__(spec)
        self.iterations = iterations

    def _sibling(self, spec: MelSpec) -> "GriffinLim":
        return GriffinLim(spec, self.iterations).train(self.training)

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        *,
        generator: Generators = None,
    ) -> Float[Tensor, "batch samples"]:
        return griffin_lim(self.accept(mel), self.spec, self.iterations, generator=generator)
