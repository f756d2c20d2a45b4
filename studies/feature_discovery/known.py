"""Recovery of known bands from synthetic series by gradient descent."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.signal import firwin, lfilter
from torch import Tensor, nn

from studies.feature_discovery.layers import (
    Bands,
    FreeTaps,
    GaussianBands,
    SincBands,
    peaks,
)

BANDS = ((0.12, 0.04), (0.35, 0.10), (0.70, 0.06))
"""Centre and width of the target's bands, as fractions of Nyquist."""
OTHERS = (
    (0.05, 0.10), (0.22, 0.16), (0.45, 0.10), (0.585, 0.17), (0.78, 0.10), (0.905, 0.15),
)  # fmt: skip
"""Distractor bands between them: equally loud, with independent levels, and not part of the target.
Without them any wide filter would suffice, and the band would not be identifiable."""
WEIGHTS = (1.0, -1.5, 1.0)
WINDOW, TRAINING, TEST = 512, 2000, 1000
STEPS, BATCH, LEARNING_RATE = 1500, 100, 0.01
FRONTS: dict[str, Callable[[int, torch.Generator], Bands | FreeTaps]] = {
    "Gaussian bands": GaussianBands,
    "sinc bands": SincBands,
    "free taps": FreeTaps,
}


@dataclass(frozen=True)
class Found:
    """Result of one training.

    Attributes:
        r2: fraction of the target's variance explained on unseen windows.
        missed: known bands without a filter of significant weight.
        centre_error: mean distance of the nearest filter's centre from a found band's, as a
            fraction of that band's width; NaN if none was found.
        width_ratio: geometric mean of found width over known width.
    """

    front: str
    filters: int
    seed: int
    r2: float
    missed: int
    centre_error: float
    width_ratio: float


def make_series(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Windows of noise with random band levels (over 20 dB), and the weighted sum of the log powers
    of the three target bands."""
    random = np.random.default_rng(seed)
    bands = (*BANDS, *OTHERS)
    levels = random.uniform(np.log(0.1), np.log(1.0), (count, len(bands)))
    x = np.zeros((count, WINDOW))
    for i, (centre, width) in enumerate(bands):
        edges = np.clip([centre - width / 2, centre + width / 2], 1e-3, 1 - 1e-3)
        taps = firwin(513, edges, pass_zero=False)
        noise = lfilter(taps, 1.0, random.standard_normal((count, WINDOW + 512)))[:, 512:]
        x += np.exp(levels[:, i : i + 1]) * noise
    y = 2 * levels[:, : len(BANDS)] @ np.array(WEIGHTS)
    return torch.from_numpy(x).float(), torch.from_numpy(y - y.mean())[:, None].float()


def discover(front: str, filters: int, seed: int) -> tuple[Found, Bands | FreeTaps]:
    """Train a first layer with a linear layer on top; return the result."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    layer = FRONTS[front](filters, generator)
    head = nn.Linear(filters, 1)
    x, y = make_series(TRAINING, seed=100)
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(TRAINING, (BATCH,), generator=generator)
        loss = (head(layer(x[rows])) - y[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        x, y = make_series(TEST, seed=101)
        r2 = 1 - float((head(layer(x)) - y).square().mean() / y.var())
        assert isinstance(layer, Bands | FreeTaps)
        centres, widths = peaks(layer.taps())
        weights = head.weight[0].abs()
    return _compare(front, filters, seed, r2, centres, widths, weights), layer


def _compare(
    front: str, filters: int, seed: int, r2: float, centres: Tensor, widths: Tensor, weights: Tensor
) -> Found:
    heard = weights > 0.1 * weights.max()
    errors, ratios = [], []
    for centre, width in BANDS:
        distance = torch.where(heard, (centres - centre).abs(), torch.inf)
        nearest = int(distance.argmin())
        if distance[nearest] < width / 2:
            errors.append(float(distance[nearest]) / width)
            ratios.append(float(widths[nearest]) / width)
    return Found(
        front,
        filters,
        seed,
        r2,
        missed=len(BANDS) - len(errors),
        centre_error=float(np.mean(errors)) if errors else float("nan"),
        width_ratio=float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan"),
    )
