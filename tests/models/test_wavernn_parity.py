"""WaveRNN against torchaudio's, with the same random weights."""

import torch
import torchaudio
from torch import nn

from tests.models.speech import SPECS, speech, speech_mel
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.recurrent import ConditioningConfig, delay
from vocoder.models.wavernn import WaveRNN, WaveRNNConfig

FRAMES = 6


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over channels, which here stands where fatchord's network has BatchNorm."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.mT).mT


def same_weights(ours: WaveRNN, theirs: torchaudio.models.WaveRNN) -> None:
    """Every weight of ours in its place in torchaudio's network, and none left over."""
    conditioning = ours.conditioning
    first, norm, _, *blocks, last = theirs.upsample.resnet.melresnet_model
    pairs = [(conditioning.input, first), (conditioning.input_norm, norm)]
    for mine, other in zip(conditioning.blocks, blocks, strict=True):
        one, one_norm, _, two, two_norm = other.resblock_model
        pairs += [(mine.first, one), (mine.first_norm, one_norm)]
        pairs += [(mine.second, two), (mine.second_norm, two_norm)]
    pairs += [(conditioning.output, last), (ours.input, theirs.fc), (ours.linear_1, theirs.fc1)]
    pairs += [(ours.linear_2, theirs.fc2), (ours.output, theirs.fc3)]
    copied = 0
    for mine, other in pairs:
        for parameter, target in zip(mine.parameters(), other.parameters(), strict=True):
            target.copy_(parameter.view(target.shape))
            copied += 1
    for mine, other in ((ours.first, theirs.rnn1), (ours.second, theirs.rnn2)):
        for layer, suffix in ((mine.from_input, "ih_l0"), (mine.from_state, "hh_l0")):
            other.get_parameter(f"weight_{suffix}").copy_(layer.weight)
            other.get_parameter(f"bias_{suffix}").copy_(layer.bias)
            copied += 2
    smoothers = list(theirs.upsample.upsample_layers)[1::2]
    for kernel, other in zip(conditioning.kernels, smoothers, strict=True):
        other.weight.copy_(kernel.view(other.weight.shape))
        copied += 1
    assert copied == len(list(theirs.parameters())) == len(list(ours.parameters()))


@torch.inference_mode()
def test_the_same_weights_give_the_same_logits():
    spec = SPECS["hifigan_22k"]
    config = WaveRNNConfig(
        bits=6,
        gru_channels=24,
        linear_channels=20,
        conditioning=ConditioningConfig(channels=16, blocks=2, features=12),
    )
    theirs = torchaudio.models.WaveRNN(
        upsample_scales=list(config.conditioning.upsampling),
        n_classes=64,
        hop_length=spec.hop_length,
        n_res_block=2,
        n_rnn=24,
        n_fc=20,
        n_freq=spec.n_mels,
        n_hidden=16,
        n_output=12,
    )
    for parent in list(theirs.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d):
                setattr(parent, name, ChannelNorm(child.num_features))
    torch.manual_seed(0)
    ours = WaveRNN(config, spec).eval()
    for parameter in ours.parameters():  # norms and kernels too, which begin even
        parameter.add_(0.2 * torch.randn_like(parameter))
    same_weights(ours, theirs)
    mel = pad_silence(speech_mel("hifigan_22k", FRAMES, fading=False), spec, ours.context)
    waveform = speech("hifigan_22k", FRAMES, fading=False)
    # Theirs is shown the sample before, ours delays the waveform itself.
    shown = delay(ours.companded(waveform))
    expected = theirs(shown[:, None], ours.mel_input(mel)[:, None])[:, 0]
    assert expected.std() > 0.1
    torch.testing.assert_close(ours.predict(waveform, mel), expected, atol=1e-5, rtol=0)
