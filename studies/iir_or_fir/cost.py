"""Cost of each filter, forward and backward, sample-wise and frame-wise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bench.dsp import measure
from bench.dsp_operations import Operation, between, normal
from studies.iir_or_fir.families import FAMILIES
from studies.iir_or_fir.family import HOP, OVERLAPS, RATE, Family
from vocoder.dsp.analysis.prediction import predictor_from_reflection
from vocoder.dsp.filters.allpole import all_pole, all_pole_overlapped, all_pole_samples
from vocoder.dsp.filters.biquad import biquad_cascade, design_biquad
from vocoder.dsp.filters.fir import filter_frames, filter_interpolated, filter_samples
from vocoder.dsp.filters.lattice import all_pole_lattice
from vocoder.dsp.filters.pole_mixing import MIXES, four_pole
from vocoder.dsp.filters.state_variable import state_variable_filter

BATCH = 2
"""Number of one-second signals, limited by memory: 256 taps per sample are 16 MB per second."""
SECTIONS, LADDER_ORDER = 8, 22
SPREAD = 0.1
"""Standard deviation of the numbers around their start. Times do not depend on it."""


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds on one thread per second of audio, forward and backward pass."""

    name: str
    kind: str
    forward_ms: float
    backward_ms: float

    @property
    def both_ms(self) -> float:
        """Time of a training step."""
        return self.forward_ms + self.backward_ms


def whole(repeats: int) -> list[Cost]:
    """From numbers at frame boundaries to audio: smallest, middle and largest member."""
    return _measure(
        [
            _operation(cls(size), way)
            for cls in FAMILIES
            for size in (cls.sizes[0], cls.sizes[len(cls.sizes) // 2], cls.sizes[-1])
            for way in ("samples", "frames")
        ],
        repeats,
    )


def alone(repeats: int) -> list[Cost]:
    """The filters alone, without computing their coefficients."""
    return _measure(_filters(), repeats)


def _measure(operations: Sequence[Operation], repeats: int) -> list[Cost]:
    times = measure(list(operations), repeats)
    return [
        Cost(one.name, one.what, *(1e3 * seconds / one.seconds for seconds in pair))
        for one, pair in zip(operations, times, strict=True)
    ]


def _operation(family: Family, way: str) -> Operation:
    start = family.start().float()
    numbers = start + SPREAD * normal(BATCH, RATE // HOP + 1, len(start))
    call = family.samples if way == "samples" else family.frames
    return Operation(family.name, way, call, (normal(BATCH, RATE), numbers), BATCH)


def _filters() -> list[Operation]:
    return [
        Operation(name, kind, call, inputs, BATCH)
        for name, kind, call, inputs in [*_finite(), *_all_pole(), *_sections()]
    ]


_Row = tuple[str, str, Callable[..., object], tuple[Tensor, ...]]


def _finite() -> list[_Row]:
    x, n_frames = normal(BATCH, RATE), RATE // HOP
    rows: list[_Row] = []
    for count in (64, 256, 1024):
        taps = 0.1 * normal(BATCH, n_frames, count)
        rows.append(
            (f"`filter_interpolated`, {count} taps", "samples", filter_interpolated, (x, taps))
        )
        rows.append((f"`filter_frames`, {count} taps", "frames", filter_frames, (x, taps)))
    for count in (64, 256):
        taps = 0.1 * normal(BATCH, RATE, count)
        rows.append((f"`filter_samples`, {count} taps", "samples", filter_samples, (x, taps)))
    return rows


def _all_pole() -> list[_Row]:
    x, n_fft = normal(BATCH, RATE), OVERLAPS * HOP
    rows: list[_Row] = []
    for order in (10, 22, 30):
        held = predictor_from_reflection(between(-0.3, 0.3, BATCH, RATE // HOP, order))
        moving = held.repeat_interleave(HOP, dim=1)
        rows += [
            (f"`all_pole_samples`, order {order}", "samples", all_pole_samples, (x, moving)),
            (f"`all_pole`, order {order}", "frames", all_pole, (x, held)),
            (
                f"`all_pole_overlapped`, order {order}",
                "frames",
                partial(all_pole_overlapped, n_fft=n_fft),
                (x, held),
            ),
        ]
    ladder = between(-0.3, 0.3, BATCH, RATE, LADDER_ORDER)
    rows.append(
        (f"`all_pole_lattice`, order {LADDER_ORDER}", "samples", all_pole_lattice, (x, ladder))
    )
    return rows


def _sections() -> list[_Row]:
    x = normal(BATCH, RATE)
    cutoff, q = between(200, 4000, BATCH, RATE), between(0.5, 4, BATCH, RATE)
    mix = torch.tensor(MIXES["low_pass_24"]).repeat(BATCH, RATE, 1)
    each = design_biquad(
        "peak",
        between(200, 4000, BATCH, RATE, SECTIONS),
        between(0.5, 4, BATCH, RATE, SECTIONS),
        RATE,
        torch.full((BATCH, RATE, SECTIONS), 6.0),
    )
    name = f"`biquad_cascade`, {SECTIONS} sections"
    return [
        (f"{name}, direct", "samples", biquad_cascade, (x, each)),
        (
            f"{name}, state-variable",
            "samples",
            partial(biquad_cascade, form="state_variable"),
            (x, each),
        ),
        (
            "`state_variable_filter`, one",
            "samples",
            partial(state_variable_filter, sample_rate=RATE, response="low"),
            (x, cutoff, q),
        ),
        (
            "`four_pole`, one",
            "samples",
            lambda x, f, r, m: four_pole(x, f, r, m, RATE),
            (x, cutoff, between(0, 2.8, BATCH, RATE), mix),
        ),
    ]
