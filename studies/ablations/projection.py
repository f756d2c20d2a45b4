"""How often to project: whole passes, passes in the low band, and both at other mels.

    python -m studies.ablations.projection --speech data/many_voices/manifest.jsonl

Speakers that were not trained on, one utterance each, cut to 5 s.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import vocoder
from studies.ablations.speech import METRIC_NAMES, means, read_utterances
from vocoder.loading import find_checkpoint
from vocoder.models.source_filter.model import SourceFilter
from vocoder.training.recipe import load_recipe

OWN_MEL = ((1, 0), (2, 0), (4, 0), (8, 0), (1, 4), (2, 4), (4, 1), (4, 2), (4, 4), (4, 8))
"""Whole passes, and cost of those in the low band, at the default mel."""
OTHER_MELS = ("hifigan_22k", "bigvgan_24k", "espnet_24k", "speecht5_16k", "cosyvoice2_24k")


def main() -> None:
    """Print one row per setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--weights", default="universal")
    options = parser.parse_args()
    torch.set_num_threads(1)

    recipe = load_recipe(find_checkpoint(options.weights) / "recipe.yaml")
    utterances = read_utterances(options.speech, recipe.data.held_out)
    print("| mel | passes | low band | " + " | ".join(METRIC_NAMES) + " |")
    settings = [("vocos_24k", *both) for both in OWN_MEL]
    settings += [(mel, 4, cost) for mel in OTHER_MELS for cost in (0, 4)]
    for mel, passes, cost in settings:
        model = vocoder.load(options.weights).for_mel(mel)
        assert isinstance(model, SourceFilter)
        row = means(utterances, model.sample_rate, _copy(model, passes, cost))
        numbers = " | ".join(f"{row[name]:.4f}" for name in METRIC_NAMES)
        print(f"| {mel} | {passes} | {cost} | {numbers} |", flush=True)


def _copy(model: SourceFilter, passes: int, cost: int) -> Callable[[Tensor], Tensor]:
    def speak(recording: Tensor) -> Tensor:
        copied: Tensor = model(
            model.mel(recording),
            generator=torch.Generator().manual_seed(0),
            mel_projection=passes,
            low_band_projection=cost,
        )
        return copied

    return speak


if __name__ == "__main__":
    main()
