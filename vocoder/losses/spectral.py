"""Spectral losses at several resolutions: short-time spectra and their mel projections."""

from functools import lru_cache
from typing import Annotated, Self

import torch
from jaxtyping import Float
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from vocoder.config import Config
from vocoder.dsp.framing import hann_window
from vocoder.features.filterbank import mel_filters

WindowLength = Annotated[int, Field(ge=4)]
"""Samples of a window whose hop is a quarter of it."""


class SpectralLossConfig(Config):
    """Resolutions and weights.

    ``n_ffts``: window lengths in samples, each with a hop of a quarter. ``n_mels``: bands of the
    mel projection at the same resolutions, 0 for none at that one. ``log_floor`` is added to
    magnitudes before the logarithm; one is the magnitude of full-scale white noise, so 3e-5 lies
    near a 16-bit step. ``stft_weight`` and ``mel_weight`` scale the two terms.

    Raises:
        ValidationError: ``n_ffts`` and ``n_mels`` differ in length, no window, a window below 4
            samples, a negative number of bands.
    """

    n_ffts: tuple[WindowLength, ...] = Field((2048, 1024, 512, 256, 128), min_length=1)
    n_mels: tuple[Annotated[int, Field(ge=0)], ...] = (160, 80, 40, 20, 0)
    log_floor: float = Field(3e-5, gt=0)
    stft_weight: float = Field(1.0, ge=0)
    mel_weight: float = Field(1.0, ge=0)

    @model_validator(mode="after")
    def _one_band_count_per_window(self) -> Self:
        windows, bands = len(self.n_ffts), len(self.n_mels)
        if windows != bands:
            raise ValueError(f"{windows} n_ffts and {bands} n_mels: give one band count per window")
        return self

    @property
    def longest_window(self) -> int:
        """Fewest samples of a waveform that can be compared."""
        return max(self.n_ffts)


@lru_cache(maxsize=32)
def _window(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Hann window of unit energy: white noise of unit power gets magnitudes of mean square one."""
    with torch.inference_mode(False):
        window = torch.hann_window(n_fft, dtype=torch.float64)
        return (window / window.square().sum().sqrt()).to(dtype=dtype, device=device)


def magnitude_spectrum(
    waveform: Float[Tensor, "batch samples"], n_fft: int
) -> Float[Tensor, "batch bins frames"]:
    """Magnitudes of the short-time spectrum, Hann window, hop of a quarter, no padding.

    The square root is kept away from zero, where its gradient has no bound.
    """
    spectrum = torch.stft(
        waveform,
        n_fft,
        n_fft // 4,
        window=_window(n_fft, waveform.dtype, waveform.device),
        center=False,
        return_complex=True,
    )
    return torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-12)


def spectral_convergence(reference: Tensor, estimate: Tensor) -> Float[Tensor, ""]:
    """Mean over the batch of ``‖R - E‖ / ‖R‖`` (Frobenius norm of each magnitude spectrum).

    Source: S. Ö. Arık, H. Jun and G. Diamos, arXiv 1808.06719. A silent reference counts
    with a norm of one, so that its gradient stays bounded.
    """
    error = (reference - estimate).square().sum(dim=(1, 2))
    energy = reference.square().sum(dim=(1, 2))
    silent = energy < 1e-6
    return torch.sqrt(error / torch.where(silent, 1.0, energy) + 1e-12).mean()


class SpectralLoss(nn.Module):
    """Multi-resolution STFT loss and multi-resolution log-mel loss from the same spectra.

    ``stft``: mean over resolutions of spectral convergence plus the L1 distance of natural log
    magnitudes (R. Yamamoto et al., Parallel WaveGAN, arXiv 1910.11480, with an additive
    floor). ``mel``: mean over resolutions of the L1 distance of natural log mel magnitudes (R.
    Kumar et al., arXiv 2306.06546).
    """

    def __init__(self, config: SpectralLossConfig, sample_rate: int) -> None:
        super().__init__()
        self.config, self.sample_rate = config, sample_rate
        for n_fft, n_mels in zip(config.n_ffts, config.n_mels, strict=True):
            if n_mels:
                nyquist = sample_rate / 2
                filters = mel_filters(sample_rate, n_fft, n_mels, 0.0, nyquist, "slaney", False)
                bank = torch.from_numpy(filters).float()
                self.register_buffer(f"mel_bank_{n_fft}", bank, persistent=False)

    def forward(
        self,
        reference: Float[Tensor, "batch samples"],
        estimate: Float[Tensor, "batch samples"],
        band_limit_hz: Float[Tensor, " batch"] | None = None,
    ) -> dict[str, Tensor]:
        """Weighted losses by name, ``stft`` and ``mel``; in float32 whatever autocast says.

        Above ``band_limit_hz``, one frequency for each item, nothing is compared: the bins there
        and the mel bands that reach there count neither in the sums nor in the means.
        """
        with torch.autocast(reference.device.type, enabled=False):
            return self._losses(reference, estimate, band_limit_hz)

    def _losses(
        self, reference: Tensor, estimate: Tensor, limit_hz: Tensor | None
    ) -> dict[str, Tensor]:
        floor = self.config.log_floor
        stft, mel = [], []
        for n_fft, n_mels in zip(self.config.n_ffts, self.config.n_mels, strict=True):
            target = magnitude_spectrum(reference, n_fft)
            output = magnitude_spectrum(estimate, n_fft)
            compared = None
            if limit_hz is not None:
                compared = self._bins_below(limit_hz, target)
                target, output = target * compared, output * compared
            log_distance = ((target + floor).log() - (output + floor).log()).abs()
            stft.append(spectral_convergence(target, output) + _mean(log_distance, compared))
            if n_mels:
                bank = getattr(self, f"mel_bank_{n_fft}")
                target_mel = torch.log(bank @ target + floor)
                distance = (target_mel - torch.log(bank @ output + floor)).abs()
                if compared is not None:
                    # A band that a bin beyond the limit belongs to is not known either.
                    compared = ((bank @ (1 - compared)) == 0).to(distance)
                mel.append(_mean(distance, compared))
        losses = {"stft": self.config.stft_weight * torch.stack(stft).mean()}
        if mel:
            losses["mel"] = self.config.mel_weight * torch.stack(mel).mean()
        return losses

    def _bins_below(
        self, limit_hz: Float[Tensor, " batch"], like: Float[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch bins one"]:
        """One for the bins up to each item's limit, zero above."""
        bins = like.shape[1]
        hertz = torch.arange(bins, device=like.device) * (self.sample_rate / 2 / (bins - 1))
        return (hertz <= limit_hz.to(like.device)[:, None]).to(like)[:, :, None]


def _mean(
    distance: Float[Tensor, "batch rows frames"], compared: Float[Tensor, "batch rows one"] | None
) -> Float[Tensor, ""]:
    """Mean, of the compared rows where not all are."""
    if compared is None:
        return distance.mean()
    return (distance * compared).mean(dim=2).sum() / compared.sum().clamp(min=1)


class LogPowerLossConfig(Config):
    """Resolutions as (FFT, window, hop), in samples, and what is added to a power of full scale.

    The defaults are those of the paper at 16 kHz: windows of 20, 5 and 120 ms.
    """

    resolutions: tuple[tuple[int, int, int], ...] = Field(
        ((512, 320, 80), (128, 80, 40), (2048, 1920, 640)), min_length=1
    )
    power_floor: float = Field(1e-5, gt=0)
    weight: float = Field(1.0, ge=0)

    @field_validator("resolutions")
    @classmethod
    def _windows_fit(
        cls, resolutions: tuple[tuple[int, int, int], ...]
    ) -> tuple[tuple[int, int, int], ...]:
        for n_fft, window, hop in resolutions:
            if not 0 < hop <= window <= n_fft:
                raise ValueError(
                    f"({n_fft}, {window}, {hop}): write (FFT, window, hop), each at most the last"
                )
        return resolutions

    @property
    def longest_window(self) -> int:
        """Fewest samples of a waveform that can be compared."""
        return max(n_fft for n_fft, _, _ in self.resolutions)


class LogPowerLoss(nn.Module):
    """Mean square distance of log power spectra, ``½ E (ln(|R|² + η) - ln(|E|² + η))²``, summed
    over resolutions.

    Spectra are those of a Hann window that is not scaled, as the floor η is meant for.

    Source: the spectral amplitude distance of X. Wang, S. Takaki and J. Yamagishi, arXiv
    1904.12088; resolutions and floor as in the authors' code.
    """

    def __init__(self, config: LogPowerLossConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, reference: Float[Tensor, "batch samples"], estimate: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, ""]:
        """The weighted loss; in float32 whatever autocast says."""
        with torch.autocast(reference.device.type, enabled=False):
            distances = [
                0.5 * (self._log_power(reference, *r) - self._log_power(estimate, *r)).square()
                for r in self.config.resolutions
            ]
            return self.config.weight * torch.stack([d.mean() for d in distances]).sum()

    def _log_power(self, waveform: Tensor, n_fft: int, window: int, hop: int) -> Tensor:
        spectrum = torch.stft(
            waveform,
            n_fft,
            hop,
            window,
            window=hann_window(window, waveform.dtype, waveform.device),
            center=False,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(power + self.config.power_floor)


class MultiScaleLossConfig(Config):
    """Window lengths in samples, each with a hop of a quarter, and the weight of logarithms."""

    n_ffts: tuple[WindowLength, ...] = Field((2048, 1024, 512, 256, 128, 64), min_length=1)
    log_weight: float = Field(1.0, ge=0)
    log_floor: float = Field(1e-5, gt=0)
    weight: float = Field(1.0, ge=0)

    @property
    def longest_window(self) -> int:
        """Fewest samples of a waveform that can be compared."""
        return max(self.n_ffts)


class MultiScaleLoss(nn.Module):
    """``Σ_i E |S_i - Ŝ_i| + α E |ln S_i - ln Ŝ_i|`` over magnitudes at several resolutions.

    Magnitudes are those of a Hann window that is not scaled, on which the balance of the two terms
    depends.

    Source: J. Engel et al., DDSP, arXiv 2001.04643.
    """

    def __init__(self, config: MultiScaleLossConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, reference: Float[Tensor, "batch samples"], estimate: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, ""]:
        """The weighted loss; in float32 whatever autocast says."""
        config, losses = self.config, []
        with torch.autocast(reference.device.type, enabled=False):
            for n_fft in config.n_ffts:
                scale = (3 * n_fft / 8) ** 0.5  # back from a window of unit energy
                target, output = (
                    scale * magnitude_spectrum(x, n_fft) for x in (reference, estimate)
                )
                losses.append((target - output).abs().mean())
                logs = [(x + config.log_floor).log() for x in (target, output)]
                losses.append(config.log_weight * (logs[0] - logs[1]).abs().mean())
        return config.weight * torch.stack(losses).sum()
