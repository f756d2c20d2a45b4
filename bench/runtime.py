"""What vocoder-runtime costs: installed size, import and first sound, in an environment of its own.

    python bench/runtime.py [FILE.onnx] [--repeats 5]

Builds the wheel, installs it with its pinned dependencies into a fresh virtual environment, and
prints the size of each package there, and medians over processes: the import, and with FILE, which
`vocoder export` has written, loading it and the mel and waveform of a second of noise. Times are
wall-clock and CPU seconds.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]

MEASURED = """
import sys, time
clocks = lambda: (time.perf_counter(), time.process_time())
marks = [clocks()]
from vocoder_runtime import OnnxVocoder
marks.append(clocks())
if sys.argv[1:]:
    import numpy as np
    v = OnnxVocoder(sys.argv[1])
    marks.append(clocks())
    v(v.mel(0.1 * np.random.default_rng(0).standard_normal(v.sample_rate)))
    marks.append(clocks())
for before, after in zip(marks, marks[1:]):
    print(*(b - a for a, b in zip(before, after)))
"""
STEPS = ("import", "load the file", "mel and waveform of 1 s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder))
        sizes, times = Table("package", "MB"), Table("step", "wall, s", "CPU, s")
        for name, size_mb in sorted(package_sizes_mb(python).items(), key=lambda item: -item[1]):
            sizes.add_row(name, f"{size_mb:.1f}")
        rows = medians(python, options.file, options.repeats)
        for step, row in zip(STEPS[: len(rows)], rows, strict=True):
            times.add_row(step, *(f"{seconds:.2f}" for seconds in row))
    console = Console()
    console.print(sizes)
    console.print(times)


def install(folder: Path) -> Path:
    """The interpreter of a fresh environment with the runtime's wheel."""
    build = ("-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    subprocess.run([sys.executable, *build], cwd=ROOT / "runtime", check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", wheel], check=True)
    return python


def package_sizes_mb(python: Path) -> dict[str, float]:
    """Size of the files of each installed package, and of all."""
    listed = (
        "from importlib.metadata import distributions\n"
        "for d in distributions():\n"
        "    print(d.name, sum(d.locate_file(f).stat().st_size for f in d.files))\n"
    )
    shown = subprocess.run([python, "-c", listed], check=True, capture_output=True, text=True)
    pairs = [line.split() for line in shown.stdout.splitlines()]
    sizes = {name: int(size) / 1e6 for name, size in pairs}
    return sizes | {"all": sum(sizes.values())}


def medians(python: Path, file: Path | None, repeats: int) -> list[list[float]]:
    """Wall-clock and CPU seconds of each step."""
    command = [str(python), "-c", MEASURED, *([str(file.resolve())] if file else [])]
    runs = []
    for _ in range(repeats):
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        runs.append([[float(value) for value in line.split()] for line in shown.splitlines()])
    steps = zip(*runs, strict=True)
    return [[statistics.median(clock) for clock in zip(*step, strict=True)] for step in steps]


if __name__ == "__main__":
    main()
