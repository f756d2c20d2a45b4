"""Cost of synthesis: time, memory, parameters and multiply-accumulates."""

import math
import pickle
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vocoder.errors import VocoderError
from vocoder.models.base import Vocoder

Synthesise = Callable[[Tensor], Tensor]
"""A mel (batch, n_mels, frames) to a waveform (batch, samples): a model, or any function."""


@dataclass(frozen=True)
class Memory:
    """Resident memory of a fresh process during one synthesis, in bytes.

    Attributes:
        peak: maximum, including the interpreter, torch and the model.
        increase: of the peak, caused by the synthesis, relative to the peak after importing and
            loading.
    """

    peak: int
    increase: int


@dataclass(frozen=True)
class Cost:
    """Cost of one synthesis.

    Attributes:
        threads: number of torch threads.
        audio_s: seconds of audio in one call, over the whole batch.
        seconds: median time of one call.
        real_time_factor: seconds / audio_s; below 1 is faster than real time.
        parameters: of the module, 0 for a plain function.
        macs_per_second: multiply-accumulates per second of audio, see `count_macs`.
        memory: of a fresh process, or None if not requested.
    """

    threads: int
    audio_s: float
    seconds: float
    real_time_factor: float
    parameters: int
    macs_per_second: float
    memory: Memory | None


def measure_cost(
    synthesise: Synthesise,
    mel: Float[Tensor, "batch n_mels frames"],
    sample_rate: int,
    threads: int = 1,
    repeats: int = 5,
    warmup: int = 1,
    memory: bool = True,
) -> Cost:
    """Time, memory, parameters and multiply-accumulates of mel → waveform, without gradients.

    Args:
        synthesise: a model in evaluation mode, or a function.
        mel: input of one call.
        sample_rate: of the waveform, in Hz.
        threads: torch threads; the previous setting is restored.
        repeats: timed calls; the result is their median.
        warmup: untimed calls before.
        memory: measure resident memory too, in a fresh process (takes some seconds).

    Raises:
        VocoderError: `threads` or `repeats` below one, empty output, or `synthesise` cannot be
            pickled for the memory measurement (`memory=False` skips it).
    """
    if threads < 1 or repeats < 1:
        raise VocoderError(f"threads and repeats must be at least 1, got {threads} and {repeats}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            samples = synthesise(mel).numel()
            for _ in range(warmup):
                synthesise(mel)
            seconds = statistics.median(_time(synthesise, mel) for _ in range(repeats))
            macs = count_macs(synthesise, mel)
    finally:
        torch.set_num_threads(before)
    if samples == 0:
        raise VocoderError("the model gave no samples: nothing to measure")
    audio_s = samples / sample_rate
    return Cost(
        threads=threads,
        audio_s=audio_s,
        seconds=seconds,
        real_time_factor=seconds / audio_s,
        parameters=count_parameters(synthesise),
        macs_per_second=macs / audio_s,
        memory=measure_memory(synthesise, mel, threads) if memory else None,
    )


def count_parameters(synthesise: Synthesise) -> int:
    """Number of parameters of a module; 0 for a plain function."""
    if not isinstance(synthesise, nn.Module):
        return 0
    return sum(parameter.numel() for parameter in synthesise.parameters())


def count_macs(synthesise: Synthesise, mel: Float[Tensor, "batch n_mels frames"]) -> float:
    """Multiply-accumulates of one call: matrix products, convolutions and Fourier transforms.

    Half of what `count_operations` counts.
    """
    with torch.no_grad():
        return count_operations(lambda: synthesise(mel)) / 2


def count_operations(work: Callable[[], object]) -> float:
    """Floating-point operations of a call, including gradients if it computes any.

    Matrix products and convolutions are counted by torch's `FlopCounterMode` (two operations per
    multiply-accumulate), Fourier transforms by `fft_macs`. Element-wise operations, fused recurrent
    kernels and everything outside torch are not counted.
    """
    aten = torch.ops.aten
    formulas: dict[Any, Callable[..., int]] = {
        aten._fft_r2c: _real_fft,
        aten._fft_c2r: _real_inverse,
        aten._fft_c2c: _complex,
        aten.convolution_backward: _convolution_backward,
        aten.addmm_: _product_in_place,
        aten.baddbmm_: _product_in_place,
    }
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        work()
    return float(counter.get_total_flops())


def macs_per_second(vocoder: Vocoder) -> float:
    """Multiply-accumulates per second of audio, excluding fixed per-call cost.

    Computed from the difference between two lengths; they are short, since models that loop over
    samples have many operations.
    """
    spec = vocoder.spec
    shorter, longer = (1, 2) if vocoder.batched else (4, 8)
    noise = torch.randn(1, spec.n_fft + longer * spec.hop_length, generator=_seeded())
    mel = vocoder.mel(0.1 * noise)
    counts = [
        count_macs(lambda m: vocoder(m, generator=_seeded()), mel[:, :, :frames])
        for frames in (shorter, longer)
    ]
    seconds = (longer - shorter) * spec.hop_length / spec.sample_rate
    return (counts[1] - counts[0]) / seconds


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def fft_macs(n: int, real: bool = True) -> float:
    """Multiply-accumulates of one fast Fourier transform of `n` points.

    A complex transform counts as the customary 5 n log2 n operations (Cooley, Tukey 1965; the unit
    of FFTW's benchmark), a real one, forward or inverse, as half of that, and a MAC as two
    operations.

    >>> fft_macs(1024), fft_macs(1024, real=False)
    (12800.0, 25600.0)
    """
    return (1.25 if real else 2.5) * n * math.log2(n)


def measure_memory(
    synthesise: Synthesise, mel: Float[Tensor, "batch n_mels frames"], threads: int = 1
) -> Memory:
    """Peak resident memory of one call, in a fresh process.

    Raises:
        VocoderError: `synthesise` cannot be pickled (a lambda, say).
    """
    try:
        task = pickle.dumps((synthesise, mel))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise VocoderError(
            f"the model cannot be sent to another process to measure its memory ({error}): give a "
            "module or a function of a module's top level, or leave the memory out"
        ) from error
    # Spawned, not forked: a fork would inherit this process's memory.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured_run, task, threads).result()


def _measured_run(task: bytes, threads: int) -> Memory:
    torch.set_num_threads(threads)
    synthesise, mel = pickle.loads(task)
    before = _peak_resident()
    with torch.no_grad():
        synthesise(mel)
    after = _peak_resident()
    return Memory(peak=after, increase=after - before)


def _peak_resident() -> int:
    """Peak resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, ru_maxrss includes the parent's memory before the exec; VmHWM does not.
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _time(synthesise: Synthesise, mel: Tensor) -> float:
    start = time.perf_counter()
    synthesise(mel)
    return time.perf_counter() - start


# Formulas for the flop counter, from the shapes of an operator's arguments and result to
# operations, twice the MACs; transforms over several axes are counted one axis at a time.


def _operations(shape: Sequence[int], axes: Sequence[int], real: bool) -> int:
    elements = math.prod(shape)
    return round(sum(2 * elements / shape[a] * fft_macs(shape[a], real) for a in axes))


def _real_fft(shape, axes, *rest, out_shape=None, **options) -> int:  # type: ignore[no-untyped-def]
    return _operations(shape, axes, real=True)


def _real_inverse(shape, axes, *rest, out_shape, **options) -> int:  # type: ignore[no-untyped-def]
    return _operations(out_shape, axes, real=True)


def _complex(shape, axes, *rest, out_shape=None, **options) -> int:  # type: ignore[no-untyped-def]
    return _operations(shape, axes, real=False)


def _convolution_backward(  # type: ignore[no-untyped-def]
    gradient, x, weight, bias, stride, padding, dilation, transposed, *rest, out_shape, **options
) -> int:
    """As many as the forward pass for each requested gradient, of the input and of the weights.

    torch's own formula counts the weight gradient of a grouped convolution as that of a full one,
    too many by a factor of the number of groups.
    """
    wanted = sum(shape is not None for shape in out_shape[:2])
    positions = math.prod((x if transposed else gradient)[2:])
    return wanted * 2 * x[0] * positions * math.prod(weight)


def _product_in_place(target, a, b, *rest, out_shape=None, **options) -> int:  # type: ignore[no-untyped-def]
    """``target += a @ b``, missing in torch's table."""
    return 2 * math.prod(a) * b[-1]
