"""Regression on real series: the first formant of vowels from 64 ms of waveform, one speaker."""

from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import parselmouth
import torch
from rich.progress import track
from torch import Tensor, nn

from studies.feature_discovery.layers import FreeTaps, GaussianBands, SincBands, log_powers
from vocoder.data.audio import read_audio
from vocoder.data.manifest import read_manifest
from vocoder.dsp.filters.fir import frequency_sampled_fir
from vocoder.features.pitch import extract_pitch

RATE, WINDOW, HOP = 10000, 640, 160
"""Hz and samples. Praat searches for five formants below 5 kHz, for a male vocal tract."""
F1_RANGE_HZ = (200.0, 1000.0)
QUIET_DB = 25.0
"""Windows this far below the loudest of their recording are excluded."""
SIZES = (250, 1000, 4000)
BANDS = 16
PARAMETERS = 1633
"""Parameters of every model; those not used by the first layer go into the next one."""
STEPS, BATCH = 1000, 64
LEARNING_RATES = (0.003, 0.01, 0.03)
"""Candidates for every first layer, compared on validation windows."""


@dataclass(frozen=True)
class Windows:
    """Waveforms of unit power (count, samples) and F1 (count, 1), in octaves above 500 Hz."""

    x: Tensor
    y: Tensor


def read_windows(corpus: Path, split: str, most: int) -> Windows:
    """``most`` voiced windows of a split, evenly spaced over its utterances."""
    xs, ys = [], []
    utterances = [u for u in read_manifest(corpus / "manifest.jsonl") if u.split == split]
    for utterance in track(utterances, f"reading {split}"):
        x, y = _windows(read_audio(corpus / utterance.path, RATE).waveform)
        xs.append(x)
        ys.append(y)
    x, y = torch.cat(xs), torch.cat(ys)
    if len(x) < most:
        raise ValueError(f"{corpus}: split {split} has {len(x)} windows of vowels, not {most}")
    chosen = torch.linspace(0, len(x) - 1, most).round().long()
    return Windows(x[chosen], y[chosen])


def _windows(waveform: Tensor) -> tuple[Tensor, Tensor]:
    """Windows of one recording with voicing and a first formant by Praat at their centre."""
    sound = parselmouth.Sound(waveform.double().numpy(), RATE)
    formants = sound.to_formant_burg(time_step=HOP / RATE, maximum_formant=RATE / 2)
    windows = waveform.unfold(0, WINDOW, HOP)
    times = (np.arange(len(windows)) * HOP + WINDOW / 2) / RATE
    f1 = np.array([formants.get_value_at_time(1, time) for time in times])
    pitch = extract_pitch(waveform, RATE, HOP, len(windows), HOP // 2)
    # Frame t of the pitch is centred half a hop after t hops; the window half a window after.
    shift = (WINDOW - HOP) // (2 * HOP)
    voiced = np.zeros(len(windows), dtype=bool)
    voiced[: len(windows) - shift] = pitch.voicing.numpy()[shift:] > 0.5
    power = windows.square().mean(1)
    loud = (power > 10 ** (-QUIET_DB / 10) * power.max()).numpy()
    kept = voiced & loud & (f1 > F1_RANGE_HZ[0]) & (f1 < F1_RANGE_HZ[1])
    x = windows[kept] / power[kept].sqrt()[:, None]
    return x, torch.from_numpy(np.log2(f1[kept] / 500))[:, None].float()


class MelBands(nn.Module):
    """Hand-made: triangles on librosa's mel scale, applied as filters like the learned ones."""

    def __init__(self, bands: int, generator: torch.Generator) -> None:
        super().__init__()
        del generator
        grid = librosa.filters.mel(sr=RATE, n_fft=64, n_mels=bands, fmin=50, norm=None)
        self.register_buffer("fixed", frequency_sampled_fir(torch.from_numpy(grid).sqrt().float()))

    def forward(self, x: Tensor) -> Tensor:
        """Log powers."""
        return log_powers(x, self.get_buffer("fixed"))


class Network(nn.Module):
    """A plain 1-D CNN: two strided convolutions, mean over time; no logarithm of a power."""

    def __init__(self, bands: int, generator: torch.Generator) -> None:
        super().__init__()
        del generator
        channels = 8
        self.layers = nn.Sequential(
            nn.Conv1d(1, channels, 32, stride=4),
            nn.ReLU(),
            nn.Conv1d(channels, bands, 8, stride=2),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Means over time, (batch, bands)."""
        return self.layers(x[:, None]).mean(2)


FRONTS = {
    "mel bands (fixed)": MelBands,
    "Gaussian bands": GaussianBands,
    "sinc bands": SincBands,
    "free taps": FreeTaps,
    "1-D CNN": Network,
}


@dataclass(frozen=True)
class Score:
    """Result of one training: total parameters, R² and RMS error (octaves) on held-out windows."""

    front: str
    size: int
    seed: int
    learning_rate: float
    parameters: int
    r2: float
    rms_octaves: float


def regress(
    front: str, training: Windows, held_out: Windows, size: int, seed: int, learning_rate: float
) -> Score:
    """Train a first layer and a small network on ``size`` windows; score it on others."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    chosen = torch.randperm(len(training.x), generator=generator)[:size]
    x, y = training.x[chosen], training.y[chosen]
    layer = FRONTS[front](BANDS, generator)
    hidden = (PARAMETERS - _count(layer) - 2 * BANDS - 1) // (BANDS + 2)
    model = nn.Sequential(
        layer,
        nn.LayerNorm(BANDS),
        nn.Linear(BANDS, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 1),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(size, (BATCH,), generator=generator)
        loss = (model(x[rows]) - y[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        found = torch.cat([model(part) for part in held_out.x.split(500)])
    error = (found - held_out.y).square().mean()
    r2 = float(1 - error / held_out.y.var())
    return Score(front, size, seed, learning_rate, _count(model), r2, float(error.sqrt()))


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
