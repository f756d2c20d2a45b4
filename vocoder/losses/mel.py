"""Distance of log mels, the reconstruction loss of GAN vocoders."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from vocoder.config import Config
from vocoder.errors import MelError
from vocoder.features.mel import MelSpec


class MelLossConfig(Config):
    """``weight`` of the loss. ``f_min_hz``, ``f_max_hz``: range of the bands, up to the Nyquist
    frequency where ``f_max_hz`` is null. ``floor``: least amplitude in a band, in the mel's own
    unit, before the logarithm; quieter ones do not count."""

    weight: float = Field(45.0, ge=0)
    f_min_hz: float = Field(0.0, ge=0)
    f_max_hz: float | None = Field(None, gt=0)
    floor: float = Field(1e-5, gt=0)


class MelLoss(nn.Module):
    """``weight · E |ln M(x) - ln M(y)|`` with M the amplitudes in the bands of a mel.

    The bands are as many, and the windows and hops as long, as in the mel a model is given, but
    they cover the whole range of frequencies, and the logarithm is the natural one, whatever the
    model's own mel has: the weight means the same with each.

    Source: J. Kong et al., HiFi-GAN, arXiv 2010.05646, weight as there; the range up to Nyquist is
    that of the authors' code (`fmax_for_loss`).
    """

    def __init__(self, config: MelLossConfig, spec: MelSpec) -> None:
        super().__init__()
        self.config = config
        nyquist = spec.sample_rate / 2
        f_max = nyquist if config.f_max_hz is None else config.f_max_hz
        if not config.f_min_hz < f_max <= nyquist:
            raise MelError(
                f"the mel loss's bands run from {config.f_min_hz:g} to {f_max:g} Hz, but the mel's "
                f"rate holds 0 to {nyquist:g} Hz: mend f_min_hz and f_max_hz, or set f_max_hz: null"
            )
        self.spec = MelSpec.model_validate(
            {
                **spec.model_dump(),
                "f_min": config.f_min_hz,
                "f_max": f_max,
                "power": 1,
                "log": "ln",
                "floor": config.floor,
                "mean": 0.0,
                "scale": 1.0,
                "clip_min": None,
                "clip_max": None,
            }
        )

    def forward(
        self, reference: Float[Tensor, "batch samples"], estimate: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, ""]:
        with torch.no_grad():
            target = self.spec.mel(reference, reference.dtype)
        return self.config.weight * l1_loss(self.spec.mel(estimate, estimate.dtype), target)
