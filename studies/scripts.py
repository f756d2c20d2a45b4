"""Shared by the studies: running, options, tables, and updating tables in files."""

import argparse
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from vocoder.data.files import write_text
from vocoder.errors import VocoderError


def run(main: Callable[[], None]) -> None:
    """Run a script; a user error is one line, with exit status 1."""
    try:
        main()
    except (VocoderError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).splitlines())}")


def study_parser(doc: str | None, results: Path, **numbers: int) -> argparse.ArgumentParser:
    """Options of a study: corpus, folder of RESULTS.md and pictures, and sizes.

    Args:
        doc: of the script; its first line describes the program.
        results: folder of RESULTS.md.
        numbers: default of every further option, by name.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=results)
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser


def stages_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Type of the option --stages, a few of the known ones.

    >>> stages_of(("train", "score", "tables"))("score tables")
    ('score', 'tables')
    """

    def stages(text: str) -> tuple[str, ...]:
        wanted = tuple(text.split())
        if unknown := sorted(set(wanted) - set(known)):
            message = f"no stage {unknown[0]!r}; there are: {' '.join(known)}"
            raise argparse.ArgumentTypeError(message)
        return wanted

    return stages


def today() -> str:
    """The date as in 2026-11-29, UTC."""
    return datetime.now(UTC).date().isoformat()


def renew_results(folder: Path, blocks: Mapping[str, str]) -> None:
    """Update the marked blocks of `folder/RESULTS.md`; see `replace_blocks`."""
    path = folder / "RESULTS.md"
    write_text(path, replace_blocks(path, blocks))


README_BLOCKS = ("published", "budget", "mels")
"""Blocks of the README, each updated by a study of its own."""


def renew_readme(readme: Path, name: str, content: str) -> None:
    """Update one of `README_BLOCKS`; see `replace_blocks`."""
    renew_block(readme, README_BLOCKS, name, content)


def renew_block(path: Path, names: Collection[str], name: str, content: str) -> None:
    """Update one block of a file whose blocks have these ``names``; see `replace_blocks`."""
    others = [block for block in names if block != name]
    write_text(path, replace_blocks(path, {name: content}, others))


def replace_blocks(path: Path, blocks: Mapping[str, str], others: Collection[str] = ()) -> str:
    """The file's text with updated blocks `<!-- begin NAME -->` … `<!-- end NAME -->`.

    Args:
        path: of the file.
        blocks: their contents, by name.
        others: blocks that another script updates, if the file has them.

    Raises:
        VocoderError: the file lacks the marks of a block, or has marks of an unknown one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise VocoderError(
            f"{path}: cannot be read ({error.strerror}); it holds the text around the tables"
        ) from error
    marked = re.findall(r"<!-- begin (\S+) -->", text)
    marked = [name for name in marked if name not in others]
    if sorted(marked) != sorted(blocks):
        raise VocoderError(
            f"{path}: marks blocks {', '.join(sorted(marked))}, and there are "
            f"{', '.join(sorted(blocks))}; each needs <!-- begin NAME --> and "
            "<!-- end NAME --> once"
        )
    for name, content in blocks.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise VocoderError(f"{path}: {begin} has no {end} after it")
        text = f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"
    return text


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column to the left, the others to the right."""
    heading, *body = rows
    rule = ["---", *["---:"] * (len(heading) - 1)]
    return "".join(f"| {' | '.join(line)} |\n" for line in [heading, rule, *body])
