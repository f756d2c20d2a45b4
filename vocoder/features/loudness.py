"""How loud a frame is, by ear: A-weighted power, from the mel alone."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.features.envelope import band_centres_hz, white_noise_level
from vocoder.features.mel import MelSpec


def a_weighting(frequency_hz: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Gain of the A-weighting, close to one at 1 kHz.

    ``R(f) = 12194² f⁴ / ((f² + 20.6²) sqrt((f² + 107.7²)(f² + 737.9²)) (f² + 12194²))``, times
    1.2589, its inverse at 1 kHz.

    Source: IEC 61672-1:2013, annex E.

    >>> gain = a_weighting(torch.tensor([100.0, 1000.0, 10000.0]))
    >>> (20 * gain.log10()).round().int().tolist()
    [-19, 0, -2]
    """
    f2 = frequency_hz.square()
    low, high = 20.598997**2, 12194.217**2
    middle = torch.sqrt((f2 + 107.65265**2) * (f2 + 737.86223**2))
    return 1.258925 * high * f2.square() / ((f2 + low) * middle * (f2 + high))


def loudness_weights(spec: MelSpec) -> Float[Tensor, " n_mels"]:
    """What each mel band's power, relative to full-scale white noise there, adds to the A-weighted
    power of a frame: A² at the band's centre times the share of the spectrum it stands for.

    The bands stand for what lies nearer to their centre than to another's.
    """
    centres = torch.from_numpy(band_centres_hz(spec))
    nyquist = spec.sample_rate / 2
    edges = pad((centres[1:] + centres[:-1]) / 2, (1, 0))
    share = pad(edges, (0, 1), value=nyquist).diff() / nyquist
    return (a_weighting(centres).square() * share).float()


class MelLoudness(torch.nn.Module):
    """Loudness of each frame of a mel, in nepers, 0 for A-weighted power of one.

    ``½ ln Σ_m w_m exp(2 g_m)`` with ``g_m`` the band's log amplitude above full-scale white noise
    and ``w`` of :func:`loudness_weights`. For noise it is the A-weighted level; for tones it is so
    up to a few decibels, since a mel tells the power of a band only up to the shape of what is in
    it.
    """

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.white_level: Tensor
        self.register_buffer("white_level", white_noise_level(spec)[:, None], persistent=False)
        self.log_weights: Tensor
        log_weights = loudness_weights(spec).log()[:, None]
        self.register_buffer("log_weights", log_weights, persistent=False)

    def forward(self, mel: Float[Tensor, "batch n_mels frames"]) -> Float[Tensor, "batch frames"]:
        gain = self.spec.log_amplitude(mel) - self.white_level
        return 0.5 * torch.logsumexp(2 * gain + self.log_weights, dim=1)
