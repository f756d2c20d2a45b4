"""Vocos, its period discriminator and its losses against its author's package."""

import pytest
import torch

from tests.models.speech import SPECS, speech, speech_mel
from vocoder.discriminators.period import PeriodDiscriminator, PeriodDiscriminatorConfig
from vocoder.losses.adversarial import (
    absolute_feature_matching_loss,
    discriminator_loss,
    generator_loss,
)
from vocoder.losses.mel import MelLoss, MelLossConfig
from vocoder.models.vocos import Vocos, VocosConfig

pytest.importorskip("vocos", reason="the package is in the extra bench")

from vocos.discriminators import DiscriminatorP
from vocos.heads import ISTFTHead
from vocos.loss import (
    DiscriminatorLoss,
    FeatureMatchingLoss,
    GeneratorLoss,
    MelSpecReconstructionLoss,
)
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


def noisy_pair(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two segments of speech, and the same with noise."""
    signal = speech("vocos_24k", -(-2 * samples // 256), fading=False)
    reference = signal[0, : 2 * samples].view(2, samples)
    noise = torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    return reference, reference + 0.02 * noise


@torch.no_grad()
def test_the_period_discriminator_and_its_losses_are_theirs():
    torch.manual_seed(0)
    theirs = DiscriminatorP(period=7)
    config = PeriodDiscriminatorConfig(periods=(7,), channels=32, growth=4, max_channels=1024)
    ours = PeriodDiscriminator(config)
    stack = ours.stacks[0]
    pairs = [*zip(stack.layers, theirs.convs, strict=True), (stack.output, theirs.conv_post)]
    for mine, other in pairs:
        other.weight_g.mul_(2)  # so that a size is not what its direction says
        mine.parametrizations.weight.original0.copy_(other.weight_g)
        mine.parametrizations.weight.original1.copy_(other.weight_v)
        mine.bias.copy_(other.bias)
    real, generated = noisy_pair(1030)  # no multiple of the period
    scores, features = (list(both) for both in zip(*map(ours, (real, generated)), strict=True))
    expected, maps = (list(both) for both in zip(*map(theirs, (real, generated)), strict=True))
    for score, layers, other, map_ in zip(scores, features, expected, maps, strict=True):
        torch.testing.assert_close(score[0].flatten(1), other, atol=1e-5, rtol=1e-4)
        # Theirs leaves the first map out and takes the score for the last one.
        for found, wanted in zip([*layers[0][1:], score[0]], map_, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    apart = discriminator_loss(*scores, "clipped_hinge", [1.0])
    assert float(apart) == pytest.approx(float(DiscriminatorLoss()(*([s] for s in expected))[0]))
    fooled = generator_loss(*scores, "clipped_hinge", [1.0])
    assert float(fooled) == pytest.approx(float(GeneratorLoss()([expected[1]])[0]))
    matched = absolute_feature_matching_loss(*([map_] for map_ in maps), [1.0])
    assert float(matched) == pytest.approx(float(FeatureMatchingLoss()(*([map_] for map_ in maps))))
    assert float(matched) > 1e-3


@torch.no_grad()
def test_the_mel_loss_of_the_recipe_is_theirs():
    reference, estimate = noisy_pair(16_384)
    ours = MelLoss(MelLossConfig(weight=45.0, floor=1e-7), SPECS["vocos_24k"])
    expected = 45 * float(MelSpecReconstructionLoss()(estimate, reference))
    assert expected > 1
    assert float(ours(reference, estimate)) == pytest.approx(expected, rel=1e-5)
