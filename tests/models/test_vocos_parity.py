"""Vocos against its authors' package, with the same random weights."""

import pytest
import torch

from tests.models.speech import SPECS, speech_mel
from vocoder.models.vocos import Vocos, VocosConfig

pytest.importorskip("vocos", reason="the package is in the extra bench")

from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone


def of_the_package(name: str) -> str:
    """Where a weight of ours stands in the package's backbone and head."""
    for ours, theirs in (
        ("output.", "head.out."),
        ("final_norm.", "backbone.final_layer_norm."),
        ("embed.", "backbone.embed."),
        ("norm.", "backbone.norm."),
    ):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    _, block, part = name.split(".", 2)
    for ours, theirs in (
        ("convolution.", "dwconv."),
        ("expand.", "pwconv1."),
        ("project.", "pwconv2."),
        ("scale", "gamma"),
    ):
        if part.startswith(ours):
            part = theirs + part.removeprefix(ours)
    return f"backbone.convnext.{block}.{part}"


@pytest.mark.parametrize("spec", ["vocos_24k", "hifigan_22k"])  # centred frames, and between hops
@torch.inference_mode()
def test_the_same_weights_give_the_same_waveform(spec):
    config, mel_spec = VocosConfig(channels=64, hidden=192, blocks=4), SPECS[spec]
    torch.manual_seed(0)
    theirs = torch.nn.ModuleDict(
        {
            "backbone": VocosBackbone(mel_spec.n_mels, 64, 192, 4),
            "head": ISTFTHead(64, 1024, 256, padding=mel_spec.padding),
        }
    )
    for parameter in theirs.parameters():  # biases and norms too, which begin at 0 and 1
        parameter.add_(0.05 * torch.randn_like(parameter))
    ours = Vocos(config, mel_spec)
    state = theirs.state_dict()
    names = {name: of_the_package(name) for name in ours.state_dict()}
    assert set(names.values()) == set(state) - {"head.istft.window"}
    ours.load_state_dict({name: state[place] for name, place in names.items()}, strict=True)
    mel = speech_mel(spec, 50)
    expected = theirs["head"](theirs["backbone"](ours.mel_input(mel)))
    found = ours(mel)
    missing = 256 if mel_spec.padding == "center" else 0
    assert found.shape[1] == expected.shape[1] + missing
    assert expected.std() > 1e-3
    torch.testing.assert_close(found[:, : expected.shape[1]], expected, atol=1e-5, rtol=0)


def test_initial_weights_are_distributed_as_theirs():
    torch.manual_seed(0)
    theirs = VocosBackbone(80, 128, 384, 4).state_dict()
    ours = Vocos(VocosConfig(channels=128, hidden=384, blocks=4), SPECS["hifigan_22k"])
    for name, weight in ours.state_dict().items():
        place = of_the_package(name).removeprefix("backbone.")
        if place.startswith("head."):
            continue
        expected = theirs[place]
        assert float(weight.mean()) == pytest.approx(float(expected.mean()), abs=2e-3), name
        if weight.numel() > 1 and expected.std() > 0:
            assert float(weight.std()) == pytest.approx(float(expected.std()), rel=0.1), name
        else:
            torch.testing.assert_close(weight, expected)
