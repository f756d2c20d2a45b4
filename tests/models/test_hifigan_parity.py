"""HiFi-GAN against the generator of transformers, with the same random weights."""

import pytest
import torch
from torch import nn

from tests.models.speech import SPECS, speech_mel
from vocoder.models.hifigan import HiFiGAN, HiFiGANConfig

pytest.importorskip("transformers", reason="a dependency of the extra evaluate")

from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig


@torch.inference_mode()
def test_the_same_weights_give_the_same_waveform():
    config = HiFiGANConfig(channels=32)
    torch.manual_seed(0)
    theirs = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            upsample_initial_channel=32,
            upsample_rates=list(config.rates),
            upsample_kernel_sizes=list(config.kernels),
            resblock_kernel_sizes=list(config.residual_kernels),
            resblock_dilation_sizes=[list(stack) for stack in config.dilations],
            normalize_before=False,
        )
    ).eval()
    for parameter in theirs.parameters():  # so that a waveform comes out, not a constant
        parameter.copy_(torch.randn_like(parameter) * 1.2 / parameter[0].numel() ** 0.5)
    ours = HiFiGAN(config, SPECS["hifigan_22k"]).eval()
    stacks = [stack for fusion in ours.network.fusions for stack in fusion.stacks]
    pairs = [(ours.network.input, theirs.conv_pre), (ours.output, theirs.conv_post)]
    pairs += zip(ours.network.upsample, theirs.upsampler, strict=True)
    for mine, other in zip(stacks, theirs.resblocks, strict=True):
        pairs += zip(mine.dilated, other.convs1, strict=True)
        pairs += zip(mine.plain, other.convs2, strict=True)
    convolutions = [m for m in theirs.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)]
    assert len(pairs) == len(convolutions) == 2 + 4 + 4 * 3 * 6
    for mine, other in pairs:
        mine.weight = other.weight.detach().clone()  # becomes direction and size
        mine.bias.copy_(other.bias)
    mel = speech_mel("hifigan_22k", 24)
    expected = theirs(ours.mel_input(mel).mT)
    assert expected.std() > 0.01
    torch.testing.assert_close(ours(mel), expected, atol=1e-5, rtol=0)
