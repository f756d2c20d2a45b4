"""A small network that predicts a clean mel from a noisy one."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor, nn

from studies.denoising.noises import RATE, babble
from studies.validation.degradations import add_noise, speech_shaped_noise
from vocoder.dsp.framing import hold_ends
from vocoder.errors import VocoderError
from vocoder.features.envelope import bin_weights
from vocoder.features.mel import MelSpec
from vocoder.models.blocks.layers import ConvNeXtBlock, MelInput, ValidConv1d

CHANNELS, BLOCKS, REACH = 128, 4, 4
"""Context of each block in frames on either side; in total 18, a third of a second."""
BATCH, SEGMENT_S = 16, 2.0
SNR_DB = (-3.0, 18.0)
"""Range of a uniform distribution per segment; half of the segments in each kind of noise."""
LEARNING_RATE = 2e-3
"""AdamW's, with cosine decay; not tuned."""


@dataclass(frozen=True)
class Training:
    """Training data: recordings of any length, pools of voices for the babble, and steps."""

    recordings: list[Tensor]
    pools: Tensor
    steps: int
    seed: int = 0


class MelDenoiser(nn.Module):
    """Mel in noise to mel without, (batch, n_mels, frames) both: a change in the mel's own unit."""

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = MelInput(spec)
        self.first = ValidConv1d(spec.n_mels, CHANNELS, 2, 2)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(CHANNELS, 2.0, REACH, REACH, 1 / BLOCKS) for _ in range(BLOCKS)
        )
        self.norm = nn.LayerNorm(CHANNELS)
        self.last = nn.Linear(CHANNELS, spec.n_mels)
        # Initialised as the identity.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, mel: Float[Tensor, "batch n_mels frames"]) -> Tensor:
        """The denoised mel, limited below by that of silence."""
        reach = 2 + BLOCKS * REACH
        x = self.first(hold_ends(self.normalise(mel).transpose(1, 2), reach, reach))
        for block in self.blocks:
            x = block(x)
        change = self.last(self.norm(x)).transpose(1, 2)
        return (mel + change).clamp(min=self.spec.log_floor)


def train(spec: MelSpec, training: Training) -> MelDenoiser:
    """Minimise the mean absolute difference of the mels.

    Raises:
        VocoderError: a recording shorter than a segment, or a non-finite loss.
    """
    if min(len(recording) for recording in training.recordings) < SEGMENT_S * RATE:
        raise VocoderError(f"a recording of less than {SEGMENT_S:g} s: leave it out")
    torch.manual_seed(training.seed)
    generator = torch.Generator().manual_seed(training.seed)
    network = MelDenoiser(spec)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps)
    for _ in track(range(training.steps), "learning"):
        clean, noisy = _batch(training, generator)
        with torch.no_grad():
            target, mel = (spec.mel(x, torch.float32) for x in (clean, noisy))
        loss = (network(mel) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    if not bool(torch.isfinite(loss)):
        raise VocoderError("the training diverged: its loss is not finite")
    return network.eval().requires_grad_(False)


def _batch(training: Training, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clean and noisy segments, both (batch, samples), at levels over 20 dB."""
    samples = round(SEGMENT_S * RATE)
    pairs: list[tuple[Tensor, Tensor]] = []
    while len(pairs) < BATCH:
        which, place, snr, level = torch.rand(4, generator=generator).tolist()
        recording = training.recordings[int(which * len(training.recordings))]
        start = int(place * (len(recording) - samples))
        clean = recording[start : start + samples] * 10 ** (0.5 - level)
        if not clean.any():
            continue
        if len(pairs) % 2:
            noise = speech_shaped_noise(clean, generator)
        else:
            noise = babble(training.pools, samples, generator)
        snr_db = SNR_DB[0] + snr * (SNR_DB[1] - SNR_DB[0])
        pairs.append((clean, add_noise(clean, noise, snr_db)))
    clean, noisy = (torch.stack(x) for x in zip(*pairs, strict=True))
    return clean, noisy


def apply_gain(
    spec: MelSpec,
    noisy: Float[Tensor, " samples"],
    before: Float[Tensor, "1 n_mels frames"],
    after: Float[Tensor, "1 n_mels frames"],
) -> Float[Tensor, " samples"]:
    """The noisy signal's spectrum, times the gain between the two mels.

    Phases and spectral fine structure are those of the noisy signal; the gain, at most one, is
    interpolated from the bands' centres to the bins.
    """
    change = spec.log_amplitude(after) - spec.log_amplitude(before)
    weights = bin_weights(spec, spec.n_fft // 2 + 1)
    gain = (change[0].T @ weights).T.clamp(max=0.0).exp()
    window = torch.hann_window(spec.win_length)
    settings = (spec.n_fft, spec.hop_length, spec.win_length, window)
    spectrum = torch.stft(noisy, *settings, return_complex=True)
    return torch.istft(spectrum * gain, *settings, length=len(noisy))
