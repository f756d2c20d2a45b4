"""Fits of single envelopes: distance of each size of each family, and training time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from studies.envelopes import distance_db
from studies.iir_or_fir.family import Family
from vocoder.dsp.filters.allpole import levinson_durbin
from vocoder.errors import VocoderError

STEPS = 250
"""Steps of Adam, with half-cosine decay of the step size to zero."""
LEARNING_RATES = (0.05, 0.12, 0.3, 0.8)
"""Candidates for every size of every family, compared on validation frames."""
EVERY = 4
"""Steps between measurements of the distance."""
FLOOR = 1e-7
"""Added to gains before the logarithm, -140 dB: a zero on a bin is a large number, not an infinite
one."""
TARGETS_DB = (4.0, 3.0, 2.0, 1.0)


@dataclass(frozen=True)
class Fit:
    """Fit of all frames in parallel, each with its own numbers.

    Attributes:
        distances_db: log-spectral distance of each frame at the end.
        steps: at which the distance was measured.
        course_db: mean over the frames at these steps.
        step_s: CPU seconds per step, all frames together.
    """

    family: Family
    learning_rate: float
    distances_db: list[float]
    steps: list[int]
    course_db: list[float]
    step_s: float

    @property
    def mean_db(self) -> float:
        """Over the frames."""
        return self.course_db[-1]

    def steps_to(self, target_db: float) -> int | None:
        """The first measured step with a mean distance of at most the target."""
        for step, distance in zip(self.steps, self.course_db, strict=True):
            if distance <= target_db:
                return step
        return None


def fit(family: Family, envelopes: Float[Tensor, "frames bins"], learning_rate: float) -> Fit:
    """Adam on the mean squared difference of log gains.

    Raises:
        VocoderError: a distance is not finite.
    """
    n_fft = 2 * (envelopes.shape[1] - 1)
    numbers = family.start().expand(len(envelopes), -1).clone().requires_grad_()
    optimizer = torch.optim.Adam([numbers], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    steps, course, spent = [], [], 0.0
    distances = torch.zeros(0)
    for step in range(STEPS + 1):
        started = time.thread_time()
        gain = (family.response(numbers, n_fft).abs() + FLOOR).log()
        if step % EVERY == 0:
            distances = distance_db(gain.detach(), envelopes)
            steps.append(step)
            course.append(float(distances.mean()))
        # A sum over the frames: Adam treats numbers independently, so that frames do not interact.
        loss = (gain - envelopes).square().mean(dim=1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        spent += time.thread_time() - started
    if not bool(torch.isfinite(distances).all()):
        raise VocoderError(f"{family.name} at {learning_rate}: some distance is not finite")
    return Fit(family, learning_rate, distances.tolist(), steps, course, spent / (STEPS + 1))


def fit_all(
    families: Sequence[Family], valid: Float[Tensor, "frames bins"], test: Tensor
) -> list[Fit]:
    """Fits with the step size of least final distance on the validation frames."""
    fits = []
    for family in track(families, "fitting"):
        tried = [fit(family, valid, rate) for rate in LEARNING_RATES]
        best = min(tried, key=lambda fit: fit.mean_db)
        fits.append(fit(family, test, best.learning_rate))
    return fits


def predicted(envelopes: Float[Tensor, "frames bins"], order: int) -> list[float]:
    """Distances (dB) of the all-pole filters of linear prediction, each with its best gain."""
    lags = torch.fft.irfft((2 * envelopes).exp())[:, : order + 1]
    predictor, _ = levinson_durbin(lags)
    polynomial = torch.cat([torch.ones_like(predictor[:, :1]), predictor], dim=1)
    gain = -torch.fft.rfft(polynomial, n=2 * (envelopes.shape[1] - 1)).abs().log()
    gain = gain + (envelopes - gain).mean(dim=1, keepdim=True)
    found: list[float] = distance_db(gain, envelopes).tolist()
    return found
