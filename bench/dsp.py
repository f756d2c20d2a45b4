"""Cost of the operations of `vocoder.dsp`, forward and backward.

    python -m bench.dsp [--repeats 5] [--write docs/dsp.md] [NAME …]

One thread, float32, eight signals of a second at 16 kHz; frames of 80 samples. The operations
alternate, so that a noisy machine slows all of them alike; times are the thread's CPU time, and the
best of the repeats counts. Milliseconds per second of audio. "Backward" is the backward pass alone,
with gradients of all differentiable inputs. Names select operations by prefix; `--write` puts the
table between the marks of a file.
"""

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from bench.dsp_operations import Operation, operations
from studies.scripts import replace_blocks, run, table
from vocoder.data.files import write_text


def main() -> None:
    """Measure and print, or write, a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [
        operation
        for operation in operations()
        if not options.names or operation.name.startswith(tuple(options.names))
    ]
    times = measure(chosen, options.repeats)
    rows = [["operation", "of", "forward (ms)", "backward (ms)"]]
    for operation, (forward_s, backward_s) in zip(chosen, times, strict=True):
        cells = [
            f"{1e3 * seconds / operation.seconds:.3g}" if math.isfinite(seconds) else ""
            for seconds in (forward_s, backward_s)
        ]
        rows.append([f"`{operation.name}`", operation.what, *cells])
    if options.write:
        write_text(options.write, replace_blocks(options.write, {"costs": table(rows)}))
    else:
        print(table(rows), end="")


def measure(chosen: list[Operation], repeats: int) -> list[tuple[float, float]]:
    """Best seconds of a forward and of a backward pass; infinite without a backward pass."""
    best = [(math.inf, math.inf)] * len(chosen)
    for repeat in track(range(repeats + 1), "measuring", console=Console(stderr=True)):
        for i, operation in enumerate(chosen):
            found = once(operation)
            if repeat:  # the first call of each warms up
                best[i] = (min(best[i][0], found[0]), min(best[i][1], found[1]))
    return best


def once(operation: Operation) -> tuple[float, float]:
    """Seconds of one forward pass without, and of one backward pass with, a gradient."""
    with torch.no_grad():
        started = time.thread_time()
        operation.call(*operation.inputs)
        forward_s = time.thread_time() - started
    if not operation.differentiable:
        return forward_s, math.inf
    leaves = [tensor.detach().clone().requires_grad_() for tensor in operation.inputs]
    outputs = [x for x in tensors(operation.call(*leaves)) if x.requires_grad]
    # Each output has its own gradient. On a CPU the autograd engine runs in the calling thread.
    gradients = [torch.ones_like(x) for x in outputs]
    started = time.thread_time()
    torch.autograd.grad(outputs, leaves, gradients, allow_unused=True)
    return forward_s, time.thread_time() - started


def tensors(value: object) -> Iterator[Tensor]:
    """The floating-point tensors in a function's result; complex ones as real."""
    if isinstance(value, Tensor):
        if value.is_complex():
            yield torch.view_as_real(value)
        elif value.is_floating_point():
            yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from tensors(part)


if __name__ == "__main__":
    run(main)
