"""Mels that are not those of a recording: smoothed and noisy ones, as acoustic models predict them.

    python -m studies.ablations.robustness --speech data/many_voices/manifest.jsonl

Speakers that were not trained on, one utterance each, cut to 5 s. The copies are compared with the
recording, so that PESQ counts what a degradation takes from the mel too; Griffin-Lim from the same
mel shows how much that is.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

import vocoder
from studies.ablations.speech import (
    METRIC_NAMES,
    copy_with,
    held_out_utterances,
    means,
    study_parser,
)
from vocoder.features.smoothing import smooth_mel

Mel = Float[Tensor, "batch n_mels frames"]
Degrade = Callable[[Mel], Mel]
NEPERS_PER_DB = math.log(10) / 20


def noisy(mel: Mel, sigma_db: float) -> Mel:
    """White noise of ``sigma_db`` (dB) added to natural log amplitudes, equally in all bands and
    frames."""
    noise = torch.randn(mel.shape, generator=torch.Generator().manual_seed(0))
    return mel + NEPERS_PER_DB * sigma_db * noise


DEGRADATIONS: dict[str, Degrade] = {
    "none": lambda mel: mel,
    "3 frames smoothed": partial(smooth_mel, frames=3),
    "5 frames smoothed": partial(smooth_mel, frames=5),
    "3 bands smoothed": partial(smooth_mel, bands=3),
    "5 bands smoothed": partial(smooth_mel, bands=5),
    "3 bands and frames": partial(smooth_mel, bands=3, frames=3),
    "noise, 1 dB": partial(noisy, sigma_db=1),
    "noise, 3 dB": partial(noisy, sigma_db=3),
}
SYSTEMS: dict[str, Mapping[str, Any]] = {
    "ours": {},
    "one pass": {"mel_projection": 1, "low_band_projection": 0},
    "envelope": {"meets": "envelope"},
    "networks alone": {"meets": "nothing"},
}
GRIFFIN_LIM = "Griffin-Lim"


def main() -> None:
    """Print one row per degradation and system."""
    parser = study_parser(__doc__)
    names = (*SYSTEMS, GRIFFIN_LIM)
    parser.add_argument("--systems", nargs="*", choices=names, default=names, metavar="SYSTEM")
    options = parser.parse_args()
    utterances = held_out_utterances(options)
    model = vocoder.load(options.weights)
    griffin_lim = vocoder.load("griffin_lim").for_mel(model.spec)
    print("| mel | system | " + " | ".join(METRIC_NAMES) + " |")
    for name, degrade in DEGRADATIONS.items():
        systems = {key: copy_with(model, degrade, **values) for key, values in SYSTEMS.items()}
        systems[GRIFFIN_LIM] = copy_with(griffin_lim, degrade)
        for system in options.systems:
            row = means(utterances, model.sample_rate, systems[system])
            numbers = " | ".join(f"{row[metric]:.3f}" for metric in METRIC_NAMES)
            print(f"| {name} | {system} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
