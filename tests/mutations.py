"""Do the tests notice bugs? Random lines are mutated, one at a time, and the tests run on each.

    python -m tests.mutations [--count 10] [--seed 0] [--fast]

A mutation swaps an operator (+ and -, * and /, < and <=, == and !=, `and` and `or`), adds one to an
integer or half to a real number, in `vocoder/dsp`, `vocoder/models/source_filter` or
`vocoder/evaluation`. It is made in a copy of the tracked files, not in the working tree. The tests
are those of the mutated folder; they stop at the first failure. A mutation survives where no test
holds the line, or where the change has no effect, as in a floor below a logarithm. `--fast` leaves
out the tests marked slow.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "vocoder/dsp": ["tests/dsp"],
    "vocoder/models/source_filter": [
        "tests/models/test_source_filter.py",
        "tests/models/test_source_filter_sound.py",
        "tests/models/test_source_filter_training.py",
        "tests/models/test_streaming.py",
        "tests/models/test_universal.py",
    ],
    "vocoder/evaluation": ["tests/evaluation", "tests/cli"],
}
"""Tests of each folder, the nearest ones."""
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def main() -> None:
    """Mutate, test, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fast", action="store_true", help="without tests marked slow")
    options = parser.parse_args()
    chooser = random.Random(options.seed)
    table = Table("file, line", "before", "after", "caught by", "seconds")
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        _copy_tracked(copy)
        for _ in range(options.count):
            path, line, before, after, mutated = _mutation(copy, chooser)
            original = path.read_text(encoding="utf-8")
            path.write_text(mutated, encoding="utf-8")
            started = time.perf_counter()
            caught = _first_failure(copy, path, options.fast)
            path.write_text(original, encoding="utf-8")
            survived += caught is None
            seconds = f"{time.perf_counter() - started:.0f}"
            where = f"{path.relative_to(copy)}:{line}"
            table.add_row(where, before, after, caught or "SURVIVED", seconds)
            print(f"{where}: {before} -> {after}: {caught or 'SURVIVED'}", flush=True)
    Console(width=200).print(table)
    print(f"{options.count - survived} of {options.count} caught")


def _copy_tracked(target: Path) -> None:
    """Everything git knows, as it stands in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def _mutation(copy: Path, chooser: random.Random) -> tuple[Path, int, str, str, str]:
    """File, line, old and new expression, and the text of the mutated module."""
    folder = chooser.choice(list(TESTS))
    while True:
        path = chooser.choice(sorted((copy / folder).rglob("*.py")))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        places = list(_places(tree))
        if not places:
            continue
        node, field = chooser.choice(places)
        before = ast.unparse(node)
        _mutate(node, field)
        return path, node.lineno, before, ast.unparse(node), ast.unparse(tree)


def _places(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Expressions that can be mutated, and the field to mutate; nothing within annotations."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
            yield node, "op"
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node, "ops"
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node, "value"
        hidden = {"annotation", "returns"}
        stack += [
            child
            for name, value in ast.iter_fields(node)
            if name not in hidden
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        ]


def _mutate(node: ast.expr, field: str) -> None:
    if field == "value":
        assert isinstance(node, ast.Constant)
        node.value = node.value + 1 if isinstance(node.value, int) else node.value * 1.5
    elif field == "op":
        assert isinstance(node, ast.BinOp | ast.BoolOp)
        node.op = SWAPS[type(node.op)]()  # type: ignore[assignment]
    else:
        assert isinstance(node, ast.Compare)
        node.ops[0] = SWAPS[type(node.ops[0])]()  # type: ignore[call-overload]


def _first_failure(copy: Path, path: Path, fast: bool) -> str | None:
    """The first test that fails; None where all pass."""
    folder = next(name for name in TESTS if (copy / name) in path.parents)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
    command += ["-m", "not slow and not browser"] if fast else ["-m", "not browser"]
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *TESTS[folder]], cwd=copy, env=environment, capture_output=True, text=True
    )
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0].split(" ", 1)[1] if lines else "an import that fails"


if __name__ == "__main__":
    main()
