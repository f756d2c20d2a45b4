"""Every description at every size: curvature, steps, errors; tables and a picture.

python -m studies.parameterisation.study --corpus data/festvox_ru [--frames 24] [--jobs 2]
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import torch
from joblib import Parallel, delayed
from matplotlib import pyplot
from torch import Tensor

from studies.envelopes import read_envelopes
from studies.parameterisation.fit import Fit, adam, conditions, lbfgs, steps_to
from studies.parameterisation.shapes import BINS, SHAPES
from studies.scripts import renew_results, run, study_parser, table

matplotlib.use("Agg")
FOLDER = Path(__file__).parent
SIZES = (12, 24, 48, 96)
LARGEST = {"reflection coefficients": 48, "line spectra": 48}
"""Largest sizes: 95 poles are impractical, and exceed float64 in the polynomials of line
spectra."""
LEARNING_RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Candidates for every description and size, compared on validation frames."""
NEAR_DB = 0.1
"""A fit counts as converged within this distance of the best error of both optimisers."""
GOAL_DB = 3.0


@dataclass(frozen=True)
class Result:
    """One description at one size; `start` and `end` are condition numbers of each frame."""

    name: str
    size: int
    learning_rate: float
    adam: Fit
    lbfgs: Fit
    start: Tensor
    end: Tensor

    @property
    def best_db(self) -> Tensor:
        """The lowest error of either optimiser, of each frame."""
        return torch.minimum(self.adam.errors_db[-1], self.lbfgs.errors_db[-1])

    def steps(self, fit: Fit) -> Tensor:
        """Steps to within `NEAR_DB` of the best."""
        return steps_to(fit.errors_db, self.best_db + NEAR_DB)


def main() -> None:
    """Fit everything, then write RESULTS.md and the picture."""
    options = study_parser(__doc__, FOLDER, frames=24, jobs=2).parse_args()
    valid = read_envelopes(options.corpus, "valid", options.frames, BINS)
    test = read_envelopes(options.corpus, "test", options.frames, BINS)
    # Expensive ones first, to balance the workers.
    order = [(name, size) for size in reversed(SIZES) for name in SHAPES if fits_in(name, size)]
    found = Parallel(options.jobs, return_as="list", verbose=5)(
        delayed(measure)(name, size, valid, test) for name, size in order
    )
    results = {(result.name, result.size): result for result in found}
    blocks = {
        "curvature": by_size(results, curvature_cell),
        "steps": by_size(results, steps_cell),
        "error": by_size(results, error_cell),
    }
    renew_results(options.results, blocks)
    draw(options.results / "steps.png", results)


def fits_in(name: str, size: int) -> bool:
    """Whether a description is used at a size."""
    return size <= LARGEST.get(name, size)


def measure(name: str, size: int, valid: Tensor, test: Tensor) -> Result:
    """Choose Adam's step size on validation frames, then fit the test's by both optimisers."""
    torch.set_num_threads(1)
    shape = SHAPES[name]
    tried = {rate: adam(shape, valid, size, rate).errors_db for rate in LEARNING_RATES}
    rate = choose_rate(tried)
    fits = adam(shape, test, size, rate), lbfgs(shape, test, size)
    better = fits[0].errors_db[-1] < fits[1].errors_db[-1]
    ends = torch.where(better[:, None], fits[0].parameters, fits[1].parameters)
    start = torch.zeros(1, size, dtype=torch.float64)
    return Result(name, size, rate, *fits, conditions(shape, start), conditions(shape, ends))


def choose_rate(tried: dict[float, Tensor]) -> float:
    """The step size with the fewest steps, in the median frame, to within `NEAR_DB` of the best."""
    best = torch.stack([errors[-1] for errors in tried.values()]).amin(dim=0)
    return min(tried, key=lambda rate: float(steps_to(tried[rate], best + NEAR_DB).median()))


Results = dict[tuple[str, int], Result]


def by_size(results: Results, cell: Callable[[Result], str]) -> str:
    """One row per description, one column per size."""
    rows = [["description", *(f"P = {size}" for size in SIZES)]]
    rows += [
        [name, *(cell(results[name, size]) if fits_in(name, size) else "" for size in SIZES)]
        for name in SHAPES
    ]
    return table(rows)


def curvature_cell(result: Result) -> str:
    """Condition number at the start, and median and range over the frames at the end."""
    ends = (result.end.median(), result.end.min(), result.end.max())
    middle, low, high = (power(float(value)) for value in ends)
    spread = "" if low == high else f" ({low} … {high})"
    return f"{power(float(result.start))} → {middle}{spread}"


def steps_cell(result: Result) -> str:
    """Median steps of Adam, with its step size, and of L-BFGS."""
    adams, others = result.steps(result.adam), result.steps(result.lbfgs)
    return f"{count(adams)} (at {result.learning_rate:g}) / {count(others)}"


def error_cell(result: Result) -> str:
    """Mean and worst frame, and the steps of Adam in which half of the frames are below 3 dB."""
    soon = count(steps_to(result.adam.errors_db, torch.full_like(result.best_db, GOAL_DB)))
    return f"{result.best_db.mean():.2f} ({result.best_db.max():.1f}); {soon}"


def count(steps: Tensor) -> str:
    """Median; a dash where it is infinite."""
    middle = float(steps.median())
    return "–" if math.isinf(middle) else f"{middle:.0f}"


def power(value: float) -> str:
    """Two digits, or the power of ten; ∞ beyond the precision of float64."""
    if math.isinf(value):
        return "∞"
    return f"{value:.1f}" if value < 100 else f"10^{math.log10(value):.1f}"


def draw(path: Path, results: Results) -> None:
    """Median error against steps at P = 24, for both optimisers."""
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4.5), sharey=True, layout="constrained")
    for name in SHAPES:
        result = results[name, 24]
        for axis, fit in zip(axes, (result.adam, result.lbfgs), strict=True):
            axis.plot(fit.errors_db[1:].median(dim=1).values, label=name, linewidth=1.3)
    for axis, title in zip(axes, ("Adam", "L-BFGS"), strict=True):
        axis.set(xscale="log", yscale="log", title=title)
        axis.set_xlabel("evaluations of loss and gradient")
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("log-spectral distance, median (dB), P = 24")
    lines, labels = axes[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    run(main)
