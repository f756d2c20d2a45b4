"""Speed compared with other vocoders in one run: real-time factor on one thread, 10 s of audio
each, in CPU time.

    python bench/peers.py [--seconds 10] [--repeats 7]

Vocos (arXiv 2306.00814) is built at its published 24 kHz size from the package of its authors,
HiFi-GAN V1 (arXiv 2010.05646) from this one, both with random weights: speed does not depend on
them. Calls of the systems alternate, so that a noisy machine slows all of them alike; use the ratio
of medians.
"""

import argparse
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone

from vocoder.evaluation.cost import count_macs
from vocoder.features.mel import PRESETS
from vocoder.loading import load
from vocoder.models.base import Vocoder
from vocoder.models.hifigan import HiFiGAN, HiFiGANConfig


class Vocos24k(nn.Module):
    """Vocos for 100-band mels at 24 kHz: 8 ConvNeXt layers of width 512, iSTFT head."""

    sample_rate, n_mels, hop_length = 24000, 100, 256

    def __init__(self) -> None:
        super().__init__()
        self.backbone = VocosBackbone(self.n_mels, 512, 1536, 8)
        self.head = ISTFTHead(512, 1024, self.hop_length, padding="center")

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(mel))


class WithoutLowBand(nn.Module):
    """A source-filter vocoder as its streams are, without projection of the low band."""

    def __init__(self, vocoder: Vocoder) -> None:
        super().__init__()
        self.vocoder, self.sample_rate, self.mel = vocoder, vocoder.sample_rate, vocoder.mel

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        waveform: torch.Tensor = self.vocoder(mel, low_band_projection=0)
        return waveform


Peer = Vocoder | Vocos24k | WithoutLowBand


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    systems: dict[str, Peer] = {
        "universal (24 kHz)": load("universal"),
        "universal, no low band (24 kHz)": WithoutLowBand(load("universal")),
        "universal (16 kHz)": load("universal").for_mel("speecht5_16k"),
        "nano (24 kHz)": load("nano"),
        "nano, no low band (24 kHz)": WithoutLowBand(load("nano")),
        "source_filter_16k (16 kHz)": load("source_filter_16k"),
        "Vocos (24 kHz)": Vocos24k().eval(),
        "HiFi-GAN V1 (22.05 kHz)": HiFiGAN(HiFiGANConfig(), PRESETS["hifigan_22k"]).eval(),
        "Griffin-Lim, 32 iterations (16 kHz)": load("griffin_lim"),
    }
    mels = {name: _mel(system, options.seconds) for name, system in systems.items()}
    times: dict[str, list[float]] = {name: [] for name in systems}
    with torch.inference_mode():
        for repeat in range(options.repeats + 1):
            for name, system in systems.items():
                started = time.process_time()
                system(mels[name])
                if repeat:  # the first call of each warms up
                    times[name].append((time.process_time() - started) / options.seconds)
    first = statistics.median(next(iter(times.values())))
    table = Table("system", "parameters (M)", "MMAC/s", "RTF", "× ours")
    for name, system in systems.items():
        factor = statistics.median(times[name])
        parameters = sum(p.numel() for p in system.parameters()) / 1e6
        with torch.no_grad():
            macs = count_macs(system, mels[name]) / options.seconds / 1e6
        cells = [f"{parameters:.2f}", f"{macs:.0f}", f"{factor:.5f}", f"{factor / first:.1f}"]
        table.add_row(name, *cells)
    Console().print(table)


def _mel(system: Peer, seconds: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if isinstance(system, Vocos24k):
        frames = round(seconds * system.sample_rate / system.hop_length)
        return torch.randn(1, system.n_mels, frames, generator=generator)
    noise = 0.1 * torch.randn(1, round(seconds * system.sample_rate), generator=generator)
    return system.mel(noise)


if __name__ == "__main__":
    main()
