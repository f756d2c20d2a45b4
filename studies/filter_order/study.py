"""Every filter at every order on both systems; tables and a picture.

python -m studies.filter_order.study --corpus data/festvox_ru [--records 6] [--jobs 2]
"""

import statistics
from pathlib import Path

import matplotlib
import torch
from joblib import Parallel, delayed
from matplotlib import pyplot
from rich.console import Console

from studies.filter_order.bounds import bounds_table
from studies.filter_order.contest import LARGEST, STEPS, Point, adaptive, fitted, truncated
from studies.filter_order.learned import predicted, train
from studies.filter_order.signals import SYSTEMS, Record, stretches
from studies.scripts import renew_results, run, study_parser, table

matplotlib.use("Agg")
FOLDER = Path(__file__).parent
ORDERS = (8, 16, 32, 64, 128, 256, 512, 1024)
FITTED = (16, 64, 256)
VALIDATION_RECORDS, TRAINING_RECORDS = 3, 48
NAMES = (*STEPS, "network", "fitted offline, fresh input", "true response, cut off")


def main() -> None:
    """Run all, then write RESULTS.md and the picture."""
    options = study_parser(__doc__, FOLDER, records=6, jobs=2).parse_args()
    points: list[Point] = []
    tests = {}
    for system, make in SYSTEMS.items():
        tests[system] = make(stretches(options.corpus, "test", options.records), 2)
        points += contest(system, options.corpus, tests[system], options.jobs)
    blocks = {system.replace(" ", "-"): error_table(points, system) for system in SYSTEMS}
    blocks |= {"operations": operations_table(points), "bounds": bounds_table(tests)}
    renew_results(options.results, blocks)
    draw(options.results / "orders.png", points)


def contest(system: str, corpus: Path, test: Record, jobs: int) -> list[Point]:
    """All filters on one system."""
    Console(stderr=True).print(f"{system}: {len(test.signal)} records")
    valid = SYSTEMS[system](stretches(corpus, "valid", VALIDATION_RECORDS), 1)
    tasks = [
        delayed(on_one_thread)(adaptive, name, system, valid, test, order)
        for name in STEPS
        for order in reversed(ORDERS)
        if order <= LARGEST.get(name, order)
    ]
    tasks += [
        delayed(on_one_thread)(fitted, system, valid, test, order) for order in reversed(FITTED)
    ]
    tasks.append(delayed(on_one_thread)(learn, system, corpus, test))
    found = Parallel(jobs, return_as="list", verbose=5)(tasks)
    points = [point for some in found for point in (some if isinstance(some, list) else [some])]
    return points + [truncated(system, test, order) for order in ORDERS]


def on_one_thread(call, *arguments):  # type: ignore[no-untyped-def]
    """A call in a worker."""
    torch.set_num_threads(1)
    return call(*arguments)


def learn(system: str, corpus: Path, test: Record) -> list[Point]:
    """The network, trained on the train split, at every order."""
    network = train(SYSTEMS[system](stretches(corpus, "train", TRAINING_RECORDS), 3), seed=0)
    return [predicted(network, system, test, order) for order in ORDERS]


def of(points: list[Point], system: str, name: str) -> list[Point]:
    """One curve, by order."""
    own = [p for p in points if (p.system, p.name) == (system, name)]
    return sorted(own, key=lambda point: point.order)


def error_table(points: list[Point], system: str) -> str:
    """Mean error in dB and its standard deviation over the records, step size in brackets."""
    rows = [["filter", *(str(order) for order in ORDERS)]]
    for name in NAMES:
        own = {point.order: point for point in of(points, system, name)}
        rows.append([name, *(cell(own[o]) if o in own else "" for o in ORDERS)])
    return table(rows)


def cell(point: Point) -> str:
    """Mean ± standard deviation (setting)."""
    mean, spread = statistics.mean(point.errors_db), statistics.stdev(point.errors_db)
    setting = "" if point.setting is None else f" ({point.setting:g})"
    return f"{mean:.1f} ± {spread:.1f}{setting}"


def operations_table(points: list[Point]) -> str:
    """The least mean error for each budget of multiplications per sample."""
    budgets = (100, 300, 1000, 3000, 10_000, 40_000)
    rows = [["at most … MACs a sample", *(f"{budget:,}" for budget in budgets)]]
    for system in SYSTEMS:
        for name in (*STEPS, "network"):
            own = of(points, system, name)
            cells = [within(own, budget) for budget in budgets]
            rows.append([f"{system}: {name}", *cells])
    return table(rows)


def within(points: list[Point], budget: int) -> str:
    """The least mean error within a number of operations, and its order."""
    affordable = [p for p in points if p.macs and p.macs <= budget]
    if not affordable:
        return ""
    best = min(affordable, key=lambda point: statistics.mean(point.errors_db))
    return f"{statistics.mean(best.errors_db):.1f} ({best.order})"


def draw(path: Path, points: list[Point]) -> None:
    """Error against order, and against operations."""
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 7), sharey="row", layout="constrained")
    for (left, right), system in zip(axes, SYSTEMS, strict=True):
        for name in NAMES:
            own = of(points, system, name)
            means = [statistics.mean(p.errors_db) for p in own]
            style = "o-" if own[0].macs else "k--" if "true" in name else "ks:"
            left.plot([p.order for p in own], means, style, label=name, markersize=4)
            if own[0].macs:
                right.plot([p.macs for p in own], means, style, markersize=4)
        left.set(xscale="log", ylabel="error (dB)", title=system, ylim=(-35, 5))
        left.set_xticks(ORDERS, [str(order) for order in ORDERS])
        left.minorticks_off()
        right.set(xscale="log")
        for axis in (left, right):
            axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel("taps")
    axes[-1, 1].set_xlabel("multiplications a sample")
    lines, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


if __name__ == "__main__":
    run(main)
