"""Mels that are not those of a recording: smoothed and noisy ones, as acoustic models predict them.

    python -m studies.ablations.robustness --speech data/many_voices/manifest.jsonl

Speakers that were not trained on, one utterance each, cut to 5 s. The copies are compared with the
recording, so that PESQ counts what a degradation takes from the mel too; Griffin-Lim from the same
mel shows how much that is.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

import vocoder
from studies.ablations.speech import METRIC_NAMES, means, read_utterances
from vocoder.loading import find_checkpoint
from vocoder.models.base import Vocoder
from vocoder.models.source_filter import SourceFilter
from vocoder.training.recipe import load_recipe

Mel = Float[Tensor, "batch n_mels frames"]
Degrade = Callable[[Mel], Mel]
NEPERS_PER_DB = 0.1151


def smoothed(mel: Mel, bands: int = 1, frames: int = 1) -> Mel:
    """Mean of the log mel over an odd number of bands and frames; at the ends their values held.

    >>> smoothed(torch.tensor([[[0.0, 3.0, 0.0]]]), frames=3).tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    held = pad(mel, (frames // 2, frames // 2, bands // 2, bands // 2), mode="replicate")
    return avg_pool2d(held, (bands, frames), stride=1)


def noisy(mel: Mel, sigma_db: float) -> Mel:
    """White noise added to the log mel, equally in all bands and frames."""
    noise = torch.randn(mel.shape, generator=torch.Generator().manual_seed(0))
    return mel + NEPERS_PER_DB * sigma_db * noise


DEGRADATIONS: dict[str, Degrade] = {
    "none": lambda mel: mel,
    "3 frames smoothed": partial(smoothed, frames=3),
    "5 frames smoothed": partial(smoothed, frames=5),
    "3 bands smoothed": partial(smoothed, bands=3),
    "5 bands smoothed": partial(smoothed, bands=5),
    "3 bands and frames": partial(smoothed, bands=3, frames=3),
    "noise, 1 dB": partial(noisy, sigma_db=1),
    "noise, 3 dB": partial(noisy, sigma_db=3),
}
SYSTEMS: dict[str, Mapping[str, object]] = {
    "ours": {},
    "one pass": {"mel_projection": 1, "low_band_projection": 0},
    "envelope": {"meets": "envelope"},
    "networks alone": {"meets": "nothing"},
}


def main() -> None:
    """Print one row per degradation and system."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--weights", nargs="+", default=["universal"])
    parser.add_argument("--every", type=int, default=1, help="which of the speakers: 2 for half")
    options = parser.parse_args()
    torch.set_num_threads(1)

    recipe = load_recipe(find_checkpoint(options.weights[0]) / "recipe.yaml")
    utterances = read_utterances(options.speech, recipe.data.held_out[:: options.every])
    print("| mel | system | " + " | ".join(METRIC_NAMES) + " |")
    for name, degrade in DEGRADATIONS.items():
        for system, speak in _systems(options.weights, degrade).items():
            row = means(utterances, 24000, speak)
            numbers = " | ".join(f"{row[metric]:.3f}" for metric in METRIC_NAMES)
            print(f"| {name} | {system} | {numbers} |", flush=True)


def _systems(weights: list[str], degrade: Degrade) -> dict[str, Callable[[Tensor], Tensor]]:
    systems = {}
    for name in weights:
        model = vocoder.load(name)
        assert isinstance(model, SourceFilter)
        for system, options in SYSTEMS.items():
            systems[f"{name}, {system}"] = _copy(model, degrade, options)
    griffin_lim = vocoder.load("griffin_lim").for_mel("vocos_24k")
    return {**systems, "Griffin-Lim": _copy(griffin_lim, degrade, {})}


def _copy(
    model: Vocoder, degrade: Degrade, options: Mapping[str, object]
) -> Callable[[Tensor], Tensor]:
    def speak(recording: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        copied: Tensor = model(degrade(model.mel(recording)), generator=generator, **options)
        return copied

    return speak


if __name__ == "__main__":
    main()
