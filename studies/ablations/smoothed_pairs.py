"""Recordings paired with mels smoothed as acoustic models smooth them, to train further on.

    python -m studies.ablations.smoothed_pairs --speech data/many_voices/manifest.jsonl
        --output data/smoothed
    vocoder train recipes/source_filter/finetune_on_mels.yaml --output runs/finetuned
        --set mel=vocos_24k --set "data.manifests=[data/smoothed/manifest.jsonl]"
    python -m studies.ablations.robustness --speech data/many_voices/manifest.jsonl
        --weights runs/finetuned --every 2

Each recording gets one degradation of its own: a moving average over 1, 3 or 5 bands and as many
frames, and white noise of up to 1 dB. Speakers whom the universal weights' recipe holds out are the
split "valid".
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from studies.ablations.robustness import Mel, noisy
from studies.ablations.speech import held_out
from studies.scripts import run
from vocoder.data.audio import read_audio
from vocoder.data.manifest import Utterance, read_manifest, write_manifest
from vocoder.features.mel import named_mel
from vocoder.features.smoothing import smooth_mel

WIDTHS = (1, 3, 5)
LARGEST_NOISE_DB = 1.0


def degraded(mel: Mel, index: int) -> Mel:
    """The mel of recording number ``index``, degraded in the way that the number draws."""
    random = np.random.default_rng(index)
    bands, frames = (int(width) for width in random.choice(WIDTHS, 2))
    return noisy(smooth_mel(mel, bands, frames), random.uniform(0, LARGEST_NOISE_DB))


def chosen(manifest: Path, unseen: set[str], per_speaker: int) -> list[Utterance]:
    """The first utterances of each speaker of the split "train"; "valid" for the ``unseen``."""
    counts: dict[str, int] = {}
    found = []
    for entry in read_manifest(manifest):
        counts[entry.speaker] = counts.get(entry.speaker, 0) + (entry.split == "train")
        if entry.split == "train" and counts[entry.speaker] <= per_speaker:
            path = (manifest.parent / entry.path).resolve()
            split = "valid" if entry.speaker in unseen else "train"
            found.append(entry.model_copy(update={"path": path, "split": split}))
    return found


def main() -> None:
    """Write a mel per recording, and their manifest."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--mel", default="vocos_24k")
    parser.add_argument("--per-speaker", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    spec = named_mel(options.mel)
    folder = options.output.resolve() / "mels"
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, entry in enumerate(
        track(chosen(options.speech, set(held_out("universal")), options.per_speaker))
    ):
        waveform = read_audio(entry.path, spec.sample_rate).waveform[None]
        path = folder / f"{index:05d}.npy"
        np.save(path, degraded(spec.mel(waveform), index)[0].numpy().astype(np.float16))
        entries.append(entry.model_copy(update={"mel": path}))
    write_manifest(options.output / "manifest.jsonl", entries)
    print(f"{len(entries)} pairs: {options.output}")


if __name__ == "__main__":
    run(main)
