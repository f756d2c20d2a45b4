"""Negative log-likelihood of test speech, in bits per 16-bit sample.

Model families have likelihoods of different quantities; here all are converted to 16-bit samples:

    probabilities of 16-bit steps (mixture of logistics, dual softmax)   nats / ln 2
    densities over amplitudes in ±1 (Gaussian, flows)                    nats / ln 2 + 15
    classes of μ-law                                                     nats / ln 2 + log2 width

with 2^15 steps per unit amplitude, and the width of a class in steps, over which its probability is
distributed uniformly.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from vocoder.data.audio import read_audio
from vocoder.data.manifest import read_manifest
from vocoder.data.segments import Batch
from vocoder.dsp.companding import mu_law_encode
from vocoder.loading import find_checkpoint, load
from vocoder.models.base import Vocoder
from vocoder.training.checkpoint import RECIPE
from vocoder.training.recipe import Recipe, load_recipe

FRAMES = 128
"""The middle frames of each utterance, 2 s at a hop of 16 ms."""
STEPS_PER_UNIT = 2**15
LIKELIHOODS = {"likelihood", "flow", "wavernn"}
"""Objectives whose losses add up to nats per sample."""


def has_likelihood(recipe: Recipe) -> bool:
    """Whether its losses are exactly a likelihood."""
    return recipe.loss.objective in LIKELIHOODS


@torch.no_grad()
def bits_per_sample(run: Path, corpus: Path) -> float:
    """Mean over the middle of every test utterance, at the level of the recording.

    Args:
        run: of a model with a likelihood.
        corpus: folder with manifest.jsonl.
    """
    recipe = load_recipe(find_checkpoint(run) / RECIPE)
    model = load(run)
    objective = recipe.build_objective(model).eval()
    output = getattr(recipe.model, "output", "")
    total, samples = 0.0, 0
    for index, batch in enumerate(_middles(model, corpus)):
        length = batch.waveform.shape[1]
        seeds = [torch.Generator().manual_seed(8 * index + mark) for mark in range(8)]
        draws = objective.draw(1, length, seeds.__getitem__)
        nats = sum(float(loss) for loss in objective(batch, *draws).losses.values())
        bits = nats / math.log(2)
        if recipe.loss.objective == "flow" or output == "gaussian":
            bits += math.log2(STEPS_PER_UNIT)
        elif output == "mulaw":
            bits += float(class_widths(batch.waveform, _levels(recipe)).log2().mean())
        total, samples = total + bits * length, samples + length
    return total / samples


def class_widths(waveform: Tensor, levels: int) -> Tensor:
    """Number of 16-bit amplitudes in the μ-law class of each sample.

    >>> class_widths(torch.tensor([0.0, 0.99]), 256).tolist()
    [6.0, 707.0]
    """
    every = torch.arange(-STEPS_PER_UNIT, STEPS_PER_UNIT, dtype=torch.float64) / STEPS_PER_UNIT
    counts = mu_law_encode(every, levels).bincount(minlength=levels)
    return counts[mu_law_encode(waveform, levels)].double()


def _levels(recipe: Recipe) -> int:
    config = recipe.model
    return int(getattr(config, "classes", 0) or getattr(config, "levels", 0))


def _middles(model: Vocoder, corpus: Path) -> Iterator[Batch]:
    """One batch per utterance; F0 and voicing, unused by likelihoods, are zero."""
    hop, (left, right) = model.spec.hop_length, model.context
    for utterance in read_manifest(corpus / "manifest.jsonl"):
        if utterance.split != "test":
            continue
        waveform = read_audio(corpus / utterance.path, model.sample_rate).waveform
        mel = model.mel(waveform)
        # Only frames with all samples.
        inside = len(waveform) // hop - left - right
        frames = min(FRAMES, inside)
        first = left + (inside - frames) // 2
        cut = waveform[None, first * hop : (first + frames) * hop]
        nothing = torch.zeros(1, frames)
        yield Batch(cut, mel[:, :, first - left : first + frames + right], nothing, nothing)
