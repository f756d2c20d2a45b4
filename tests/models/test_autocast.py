"""Every architecture speaks under autocast, which `Vocoder.accept` recommends for speed."""

import pytest
import torch
from torch import Tensor

from tests.models.speech import relative_error, seeded
from vocoder.features.mel import PRESETS
from vocoder.models.base import Vocoder
from vocoder.models.blocks.recurrent import ConditioningConfig
from vocoder.models.registry import MODELS
from vocoder.models.waveglow import InvertibleConvolution

pytestmark = pytest.mark.slow

SPEC = PRESETS["speecht5_16k"]
FRAMES = 4
CONDITIONING = ConditioningConfig(channels=8, blocks=2, features=8)
PITCH = {"channels": 16, "layers": 2}
GATED = {"residual_channels": 8, "gate_channels": 16, "skip_channels": 8}
TINY: dict[str, dict[str, object]] = {
    "source_filter": {"channels": 24, "blocks": 2, "pitch": PITCH},
    "wavenet": {"layers": 4, "stacks": 2, **GATED},
    "parallel_wavenet": {"layers": (3, 3), **GATED},
    "wavernn": {"gru_channels": 12, "linear_channels": 10, "conditioning": CONDITIONING},
    "wavernn_dual": {"channels": 12, "conditioning": CONDITIONING},
    "waveflow": {"flows": 2, "channels": 4, "row_dilations": (1, 1)},
    "waveglow": {"flows": 4, "early_every": 2, "channels": 8, "layers": 2},
    "nsf": {"channels": 8, "blocks": 2, "layers": 3, "condition_channels": 8, "pitch": PITCH},
    "ddsp": {"channels": 16, "gru_channels": 16, "reverb_seconds": 0.1, "pitch": PITCH},
    "hifigan": {"channels": 16},
    "istftnet": {"channels": 16},
    "vocos": {"channels": 16, "hidden": 32, "blocks": 2},
}
"""Sizes of each row of the registry."""


def tiny_model(name: str, **changes: object) -> Vocoder:
    """A small model; layers that start at zero get weights, so that the mel has an effect."""
    entry = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = entry.model(entry.config(**TINY[name] | changes), SPEC)  # type: ignore[call-arg]
        for parameter in model.parameters():
            if parameter.ndim > 1 and not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


@torch.inference_mode()
def both_ways(model: Vocoder) -> tuple[Tensor, Tensor]:
    """Waveforms with the same random numbers, in float32 and under bfloat16 autocast."""
    noise = 0.1 * torch.randn(1, FRAMES * SPEC.hop_length, generator=seeded(1))
    mel = model.mel(noise)[:, :, :FRAMES]
    plain = model(mel, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(mel, generator=seeded())
    return plain, mixed


def test_every_architecture_has_a_tiny_size():
    assert set(TINY) == set(MODELS)


LOOPS = ("wavenet", "wavernn", "wavernn_dual")
"""Models that generate sample by sample, of which the second test is stricter."""


@pytest.mark.parametrize("name", [name for name in MODELS if name not in LOOPS])
def test_speech_under_autocast_is_nearly_that_without(name):
    plain, mixed = both_ways(tiny_model(name))
    assert plain.dtype == mixed.dtype == torch.float32
    assert mixed.isfinite().all()
    assert relative_error(mixed, plain) < 0.05


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("wavenet", {}),
        ("wavenet", {"output": "mulaw"}),
        ("wavenet", {"output": "gaussian"}),
        ("wavernn", {}),
        ("wavernn", {"output": "mixture"}),
        ("wavernn_dual", {}),
    ],
)
def test_loops_over_samples_run_outside_autocast(name, sizes):
    plain, mixed = both_ways(tiny_model(name, **sizes))
    assert torch.equal(mixed, plain)


@torch.inference_mode()
def test_the_inverse_of_a_mixing_matrix_keeps_float32():
    mixer = InvertibleConvolution(8)
    x = torch.randn(1, 8, 50, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        found = mixer.inverse(mixer(x)[0])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, x, atol=1e-5, rtol=0)
