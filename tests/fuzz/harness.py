"""Run a command on hostile input in a child process with limits, and judge how it ended.

A child is forked from a process that has loaded the package, so that a try costs milliseconds. A
try passes if it ends within its limits with status 0 and a correct output, or with status 1 and
one line that says what is wrong; if nothing is half-written; and if the rest of a batch is done.
"""

import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

CPU_S = 20
WALL_S = 120.0
MEMORY_BYTES = 1 << 30
"""Default of `Try.memory_bytes`."""
M_ARENA_MAX = -8
"""Parameter of glibc's `mallopt`."""


@dataclass(frozen=True)
class Try:
    """One command on hostile input.

    Attributes:
        command: arguments of `vocoder`; paths are relative to the try's folder.
        check: of the try's folder, the status and the output; raises AssertionError if it is wrong.
        environment: variables; None removes one.
        file_bytes: no file can grow beyond it, as on a full disk.
        memory_bytes: most address space beyond that of the parent.
    """

    command: list[str]
    check: Callable[[Path, int, str], None] = field(default=lambda folder, status, said: None)
    environment: Mapping[str, str | None] = field(default_factory=dict)
    file_bytes: int = resource.RLIM_INFINITY
    memory_bytes: int = MEMORY_BYTES


class Outcome(NamedTuple):
    """How a try ended; ``problem`` is empty if it passed."""

    status: int
    said: str
    cpu_s: float
    peak_mb: float
    problem: str


def run(prepare: Callable[[Path], Try]) -> Outcome:
    """Prepare a try in a fresh folder, run it there, and judge it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        return _run(folder, prepare(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, one: Try) -> Outcome:
    # A pipe, since a limit on the size of files is one on the output's too.
    output, said_to = os.pipe()
    child = os.fork()
    if child == 0:
        _child(folder, one, said_to)
    os.close(said_to)
    os.set_blocking(output, False)
    said_bytes, killed = b"", ""
    deadline = time.monotonic() + WALL_S
    while True:
        pid, code, usage = os.wait4(child, os.WNOHANG)
        said_bytes += _read(output)
        if pid:
            break
        if time.monotonic() > deadline:
            killed = f"no end after {WALL_S:g} s"
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    os.close(output)
    status, said = os.waitstatus_to_exitcode(code), said_bytes.decode(errors="replace")
    problem = killed or _problem(folder, one, status, said)
    cpu_s = usage.ru_utime + usage.ru_stime
    return Outcome(status, said, cpu_s, usage.ru_maxrss / 1024, problem)


def _read(pipe: int) -> bytes:
    """What is there to be read now."""
    content = b""
    with contextlib.suppress(BlockingIOError):
        while more := os.read(pipe, 1 << 16):
            content += more
    return content


def _child(folder: Path, one: Try, said: int) -> None:
    """Run the command with limits and end the process."""
    status = 70
    try:
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, target in enumerate((nothing, said, said)):
            os.dup2(target, number)
        for name, value in one.environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        encoding = one.environment.get("PYTHONIOENCODING") or "utf-8"
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding=encoding) for number in (1, 2))
        # Threads that wait for each other get arenas of their own, 64 MB of address space each:
        # a try on a busy machine would reach the limit below earlier.
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + one.memory_bytes,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (one.file_bytes, resource.RLIM_INFINITY))
        torch.set_num_threads(1)
        from vocoder.cli import app

        app(one.command)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _problem(folder: Path, one: Try, status: int, said: str) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name} (more than {CPU_S} s of CPU time, or a crash)"
    if status == 2 and "Usage: " in said:  # an option that the help rules out
        return ""
    if "Traceback" in said or status not in (0, 1):
        last = (said.strip().splitlines() or [""])[-1]
        return f"status {status}: {last}"
    if status == 1 and not re.search(r"^(error|failed|refused)?:? ?.*\S: \S", said, re.MULTILINE):
        return "status 1 without a reason"
    if long := [line for line in said.splitlines() if len(line) > 3000]:
        return f"a line of {len(long[0])} characters"
    if half := list(folder.rglob(".*.part*")):
        return f"half-written: {half[0].name}"
    try:
        one.check(folder, status, said)
    except Exception as error:
        return f"wrong output: {type(error).__name__}: {error}"
    return ""
