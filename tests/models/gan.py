"""Small models of the GAN vocoders, for every mel of `tests.models.speech`."""

from functools import lru_cache

import torch

from tests.models.speech import SPECS
from vocoder.features.mel import MelSpec
from vocoder.models.base import Vocoder
from vocoder.models.hifigan import HiFiGAN, HiFiGANConfig
from vocoder.models.istftnet import ISTFTNet, ISTFTNetConfig
from vocoder.models.vocos import Vocos, VocosConfig

V3 = {
    "residual": 2,
    "residual_kernels": (3, 5, 7),
    "dilations": ((1, 2), (2, 6), (3, 12)),
}


def build(name: str, spec: MelSpec, seed: int = 0, width: int = 16) -> Vocoder:
    """An untrained model: published kernels, rates and dilations, few channels.

    Fresh HiFi-GANs give hardly more than a constant; without biases, and louder from layer to
    layer, theirs is a waveform.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _fresh(name, spec, width)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if name != "vocos":
                parameter.mul_(0.0 if key.endswith("bias") else 1.5)
    return model


def _fresh(name: str, spec: MelSpec, width: int) -> Vocoder:
    other_hop = spec.hop_length != 256
    if name == "vocos":
        return Vocos(VocosConfig(channels=width, hidden=2 * width, blocks=3), spec)
    if name == "istftnet":
        sizes = {"rates": (5, 15), "kernels": (10, 30)} if other_hop else {}
        return ISTFTNet(ISTFTNetConfig(channels=width, **sizes), spec)
    if name == "hifigan_v3":
        sizes = {"rates": (8, 8, 4), "kernels": (16, 16, 8), **V3}
        if other_hop:
            sizes |= {"rates": (10, 6, 5), "kernels": (20, 12, 10)}
        return HiFiGAN(HiFiGANConfig(channels=width, **sizes), spec)
    sizes = {"rates": (5, 5, 4, 3), "kernels": (11, 10, 8, 6)} if other_hop else {}
    return HiFiGAN(HiFiGANConfig(channels=width, **sizes), spec)


NAMES = ("hifigan", "hifigan_v3", "istftnet", "vocos")


@lru_cache
def small(name: str, spec: str) -> Vocoder:
    """The same, shared: do not train it."""
    return build(name, SPECS[spec]).eval()
