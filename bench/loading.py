"""Time of `vocoder.load()` beyond importing torch, in a fresh process each time.

python -m bench.loading [--repeats 5]

prints the medians of CPU seconds and of wall-clock seconds.
"""

import argparse
import json
import statistics
import subprocess
import sys

CODE = (
    "import json, time, torch; cpu, wall = time.process_time(), time.perf_counter(); "
    "import vocoder; vocoder.load(); "
    "print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall]))"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    times = []
    for _ in range(parser.parse_args().repeats):
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True)
        times.append(json.loads(done.stdout))
    cpu_s, wall_s = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"vocoder.load() beyond torch: {cpu_s:.2f} s of CPU, {wall_s:.2f} s")


if __name__ == "__main__":
    main()
