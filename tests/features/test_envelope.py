"""The level of white noise in a mel, against that of noise."""

import pytest
import torch

from vocoder.features.envelope import white_noise_level
from vocoder.features.mel import PRESETS, MelSpec


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97])
def test_the_level_is_that_of_noise(power: int, pre_emphasis: float):
    fields = {"power": power, "pre_emphasis": pre_emphasis}
    spec: MelSpec = PRESETS["vocos_24k"].model_copy(update=fields)
    noise = torch.randn(1, 24000 * 20, generator=torch.Generator().manual_seed(0))
    # Energies are averaged, not their logarithms.
    energy = (power * spec.log_amplitude(spec.mel(noise))).exp().mean(dim=2)[0]
    level = energy.log() / power
    torch.testing.assert_close(level[2:], white_noise_level(spec)[2:], atol=0.06, rtol=0)
