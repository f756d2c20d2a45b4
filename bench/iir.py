"""Cost of the time-varying recursive filters, forward and backward, compared with torchlpc.

    python bench/iir.py [--batch 8] [--seconds 1] [--repeats 15]

On one thread, at 16 kHz, with filters that change at every sample. Calls of the filters alternate,
so that a noisy machine slows all of them alike; the output is the best times and, over the whole
batch, the time per second of audio. Backward means gradients of the signal and of the filter's
controls.
"""

import argparse
import math
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchlpc import sample_wise_lpc

from vocoder.dsp.filters.allpole import (
    all_pole,
    all_pole_overlapped,
    all_pole_samples,
    interpolated_predictor,
)
from vocoder.dsp.filters.biquad import biquad_cascade, design_biquad
from vocoder.dsp.filters.lattice import all_pole_lattice
from vocoder.dsp.filters.pole_mixing import MIXES, four_pole
from vocoder.dsp.filters.state_variable import state_variable_filter

RATE, ORDER, HOP, SECTIONS, LATTICE_ORDER = 16000, 22, 80, 4, 8

Filter = tuple[Callable[..., Tensor], tuple[Tensor, ...]]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    filters = _filters(options.batch, round(options.seconds * RATE) // HOP)
    forward: dict[str, list[float]] = {name: [] for name in filters}
    backward: dict[str, list[float]] = {name: [] for name in filters}
    for repeat in range(options.repeats + 1):
        for name, (function, inputs) in filters.items():
            with torch.no_grad():
                started = time.perf_counter()
                function(*inputs)
                forward_time = time.perf_counter() - started
            leaves = [tensor.detach().requires_grad_() for tensor in inputs]
            output = function(*leaves)
            gradient = torch.ones_like(output)
            started = time.perf_counter()
            torch.autograd.grad(output, leaves, gradient)
            if repeat:  # the first call of each warms up
                backward[name].append(time.perf_counter() - started)
                forward[name].append(forward_time)
    table = Table("filter", "forward (ms)", "backward (ms)", "ms per s of audio, both")
    for name in filters:
        there, back = 1e3 * min(forward[name]), 1e3 * min(backward[name])
        each = (there + back) / (options.batch * options.seconds)
        table.add_row(name, f"{there:.1f}", f"{back:.1f}", f"{each:.2f}")
    Console().print(table)


def _filters(batch: int, n_frames: int) -> dict[str, Filter]:
    generator = torch.Generator().manual_seed(0)
    n_samples = n_frames * HOP

    def uniform(*shape: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    def course(low: float, high: float, *more: int) -> Tensor:
        log = uniform(batch, n_samples, *more, low=math.log(low), high=math.log(high))
        return log.exp()

    signal = uniform(batch, n_samples, low=-1, high=1)
    # As in linear prediction of speech: line spectra that vary around an even spacing.
    even = math.pi * torch.arange(1, ORDER + 1) / (ORDER + 1)
    wander = uniform(batch, n_frames + 1, ORDER, low=-0.04, high=0.04)
    predictor = interpolated_predictor(even + wander, HOP, "line_spectra")
    held = predictor[:, ::HOP].contiguous()
    frequency, q = course(200, 4000, SECTIONS), course(0.5, 4, SECTIONS)
    sections = design_biquad("peak", frequency, q, RATE, torch.full_like(q, 6))
    cutoff, resonance = course(200, 4000), uniform(batch, n_samples, low=0, high=2.8)
    mix = torch.tensor(MIXES["low_pass_24"]).repeat(batch, n_samples, 1)
    reflection = uniform(batch, n_samples, LATTICE_ORDER, low=-0.9, high=0.9)
    return {
        f"torchlpc.sample_wise_lpc, order {ORDER}": (sample_wise_lpc, (signal, predictor)),
        f"all_pole_samples, order {ORDER}": (
            lambda x, a: all_pole_samples(x, a)[0],
            (signal, predictor),
        ),
        f"all_pole, order {ORDER}, frames of {HOP}": (
            lambda x, a: all_pole(x, a)[0],
            (signal, held),
        ),
        f"all_pole_overlapped, order {ORDER}, frames of {HOP}": (
            lambda x, a: all_pole_overlapped(x, a, 8 * HOP),
            (signal, held),
        ),
        f"all_pole_lattice, order {LATTICE_ORDER}": (
            lambda x, k: all_pole_lattice(x, k)[0],
            (signal, reflection),
        ),
        "state_variable_filter": (
            lambda x, f, r: state_variable_filter(x, f, r, RATE, "low")[0],
            (signal, cutoff, course(0.5, 10)),
        ),
        f"biquad_cascade, {SECTIONS} sections, direct": (
            lambda x, c: biquad_cascade(x, c)[0],
            (signal, sections),
        ),
        f"biquad_cascade, {SECTIONS} sections, state_variable": (
            lambda x, c: biquad_cascade(x, c, form="state_variable")[0],
            (signal, sections),
        ),
        "four_pole": (
            lambda x, f, r, m: four_pole(x, f, r, m, RATE)[0],
            (signal, cutoff, resonance, mix),
        ),
    }


if __name__ == "__main__":
    main()
