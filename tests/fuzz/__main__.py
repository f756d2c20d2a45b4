"""``make fuzz``: many tries of every kind, and a table of how they ended.

    python -m tests.fuzz --tries 10000 [--kind KIND] [--first NUMBER] [--cpu-minutes MINUTES]

Every failure is printed with the kind and number that repeat it.
"""

import argparse
import sys

from tests.fuzz.generators import KINDS, numbered
from tests.fuzz.harness import Outcome, run
from tests.fuzz.warm import warm_up


def main() -> int:
    """Run the tries; the status is 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--first", type=int, default=0, help="number of the first try")
    parser.add_argument("--cpu-minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    warm_up()
    kinds = [options.kind] if options.kind else list(KINDS)
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in kinds}
    spent_s = 0.0
    for number in range(options.tries):
        if spent_s > 60 * options.cpu_minutes:
            break
        kind = kinds[number % len(kinds)]
        index = options.first + number // len(kinds)
        outcome = run(numbered(kind, index))
        outcomes[kind].append(outcome)
        spent_s += outcome.cpu_s
        if outcome.problem:
            print(f"--kind '{kind}' --first {index} --tries 1: {outcome.problem}", flush=True)
    print("| input | tries | status 0 | status 1 | failures | CPU, mean (s) | peak (MB) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind, some in outcomes.items():
        if some:
            counts = [sum(one.status == status for one in some) for status in (0, 1)]
            failures = sum(bool(one.problem) for one in some)
            cpu_s = sum(one.cpu_s for one in some) / len(some)
            peak = max(one.peak_mb for one in some)
            print(f"| {kind} | {len(some)} | {counts[0]} | {counts[1]} | {failures} "
                  f"| {cpu_s:.2f} | {peak:.0f} |")  # fmt: skip
    return int(any(one.problem for some in outcomes.values() for one in some))


if __name__ == "__main__":
    sys.exit(main())
