"""The study's tables."""

import statistics
from collections.abc import Sequence

import numpy as np

from studies.iir_or_fir.cost import Cost
from studies.iir_or_fir.departure import Departure
from studies.iir_or_fir.family import Family
from studies.iir_or_fir.fitting import TARGETS_DB, Fit
from studies.iir_or_fir.formants import Formant
from studies.iir_or_fir.training import TARGETS_DB as HEARD_DB
from studies.iir_or_fir.training import WAYS, Trained
from studies.scripts import table
from vocoder.evaluation.statistics import bootstrap_interval

NEVER = "—"


def fits_table(fits: Sequence[Fit], predicted: dict[int, list[float]]) -> str:
    """Cost and final distance of every size of every family."""
    rows = [
        [
            "filter",
            "parameters a frame",
            "multiplications a sample, sample-wise",
            "frame-wise",
            "step size",
            "distance (dB)",
            "CPU s for 4 / 3 / 2 / 1 dB",
        ]
    ]
    for one in fits:
        reached = [one.steps_to(target) for target in TARGETS_DB]
        seconds = " / ".join(
            NEVER if steps is None else f"{steps * one.step_s:.2f}" for steps in reached
        )
        rows.append([*_size(one.family), f"{one.learning_rate:g}", _mean(one), seconds])
    for order, distances in predicted.items():
        low, high = bootstrap_interval(distances)
        mean = f"{statistics.mean(distances):.2f} ({low:.2f} … {high:.2f})"
        name = f"linear prediction {order}, no training"
        rows.append([name, str(order + 1), str(order + 1), "", "", mean, "0"])
    return table(rows)


def targets_table(fits: Sequence[Fit]) -> str:
    """The smallest size of a family within a distance, its multiplications and its time."""
    rows = [["family", *(f"{target:g} dB" for target in TARGETS_DB)]]
    for label in dict.fromkeys(one.family.label for one in fits):
        own = [one for one in fits if one.family.label == label]
        rows.append([label, *(_cheapest(own, target) for target in TARGETS_DB)])
    return table(rows)


def _cheapest(fits: Sequence[Fit], target_db: float) -> str:
    enough = [one for one in fits if one.mean_db <= target_db]
    if not enough:
        return NEVER
    one = min(enough, key=lambda fit: fit.family.size)
    steps = one.steps_to(target_db)
    assert steps is not None
    family = one.family
    return (
        f"{family.size} ({family.parameters}; {family.sample_macs:.0f} / {family.frame_macs:.0f}; "
        f"{steps * one.step_s:.2f} s)"
    )


def training_table(found: Sequence[Trained]) -> str:
    """Both methods of each filter."""
    rows = [
        [
            "filter",
            "way",
            "step size",
            "distance before (dB)",
            "after, noise trained on",
            "after, other noise",
            "of each stretch",
            "CPU s a step",
            f"until {' / '.join(f'{target:g}' for target in HEARD_DB)} dB",
        ]
    ]
    for one in found:
        reached = [one.seconds_to(target) for target in HEARD_DB]
        seconds = " / ".join(NEVER if time is None else f"{time:.1f}" for time in reached)
        each = ", ".join(f"{distance:.2f}" for distance in one.distances_db)
        numbers = [f"{value:.2f}" for value in (one.start_db, one.seen_db, one.mean_db)]
        way = f"by {one.way}"
        rows.append(
            [
                one.family.name,
                way,
                f"{one.learning_rate:g}",
                *numbers,
                each,
                f"{one.step_s:.3f}",
                seconds,
            ]
        )
    return table(rows)


def whole_table(costs: Sequence[Cost]) -> str:
    """From numbers to audio, with the ratio of sample-wise to frame-wise cost."""
    rows = [
        [
            "filter",
            "by samples: forward",
            "backward",
            "by frames: forward",
            "backward",
            "ratio of both passes",
        ]
    ]
    for name in dict.fromkeys(cost.name for cost in costs):
        pair = [next(c for c in costs if (c.name, c.kind) == (name, way)) for way in WAYS]
        cells = [f"{ms:.2f}" for cost in pair for ms in (cost.forward_ms, cost.backward_ms)]
        rows.append([name, *cells, f"{pair[0].both_ms / pair[1].both_ms:.1f}"])
    return table(rows)


def alone_table(costs: Sequence[Cost]) -> str:
    """The filters alone, relative to the sample-wise all-pole filter of order 22."""
    unit = next(c for c in costs if c.name == "`all_pole_samples`, order 22")
    rows = [["function", "way", "forward", "backward", "both, times those of order 22"]]
    for cost in costs:
        cells = [f"{cost.forward_ms:.2f}", f"{cost.backward_ms:.2f}"]
        rows.append([cost.name, f"by {cost.kind}", *cells, f"{cost.both_ms / unit.both_ms:.1f}"])
    return table(rows)


def formants_table(formants: Sequence[Formant]) -> str:
    """Quantiles of speeds and bandwidths."""
    shares = (0.5, 0.9, 0.99)
    rows = [
        [
            "formant",
            *(f"speed: {100 * share:.0f} % below (Hz/ms)" for share in shares),
            *(f"bandwidth: {100 * share:.0f} % above (Hz)" for share in (0.5, 0.9)),
        ]
    ]
    for one in formants:
        speeds = [f"{value:.1f}" for value in np.quantile(one.speeds, shares)]
        widths = [f"{value:.0f}" for value in np.quantile(one.bandwidths_hz, (0.5, 0.1))]
        rows.append([f"F{one.number}", *speeds, *widths])
    return table(rows)


def departure_table(found: Sequence[Departure], heading: str, distance: bool = False) -> str:
    """Methods in rows, swept values in columns: means, and their range over the signals."""
    places = list(dict.fromkeys(one.at for one in found))
    rows = [[heading, *(f"{at:g}" for at in places)]]
    for way in dict.fromkeys(one.way for one in found):
        cells = []
        for at in places:
            own = [one for one in found if (one.way, one.at) == (way, at)]
            values = [one.distance_db if distance else one.error_db for one in own]
            cells.append(_range(values, 2 if distance else 1))
        rows.append([way, *cells])
    return table(rows)


def _range(values: Sequence[float], digits: int) -> str:
    low, mean, high = (
        f"{value:.{digits}f}" for value in (min(values), statistics.mean(values), max(values))
    )
    return mean if low == high else f"{mean} ({low} … {high})"


def _size(family: Family) -> list[str]:
    macs = [f"{family.sample_macs:.0f}", f"{family.frame_macs:.0f}"]
    return [family.name, str(family.parameters), *macs]


def _mean(fit: Fit) -> str:
    low, high = bootstrap_interval(fit.distances_db)
    return f"{fit.mean_db:.2f} ({low:.2f} … {high:.2f})"
