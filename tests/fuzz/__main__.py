"""``make fuzz``: many tries of every kind, and a table of how they ended.

    python -m tests.fuzz --tries 10000 [--seeds] [--kind KIND] [--first N] [--cpu-minutes MINUTES]

Every failure is printed with the kind and number that repeat it. Ctrl-C ends with the table so far.
"""

import argparse
import contextlib
import sys

from tests.fuzz.generators import KINDS, numbered
from tests.fuzz.harness import Outcome, run
from tests.fuzz.seeds import SEEDS
from tests.fuzz.warm import warm_up


def _known(name: str) -> Outcome:
    outcome = run(SEEDS[name])
    if outcome.problem:
        print(f"--seed '{name}': {outcome.problem}\n    {outcome.said[-500:]}", flush=True)
    return outcome


def main() -> int:
    """Run the tries; the status is 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--seeds", action="store_true", help="begin with the known inputs")
    parser.add_argument("--seed", choices=SEEDS, help="only this known input")
    parser.add_argument("--first", type=int, default=0, help="number of the first try")
    parser.add_argument("--cpu-minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    warm_up()
    kinds = [options.kind] if options.kind else list(KINDS)
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in kinds}
    if options.seeds or options.seed:
        names = [options.seed] if options.seed else list(SEEDS)
        outcomes = {"known inputs": [_known(name) for name in names], **outcomes}
    spent_s = sum(one.cpu_s for some in outcomes.values() for one in some)
    if options.seed:
        options.tries = 0
    with contextlib.suppress(KeyboardInterrupt):
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
