"""What the scripts of `egs/` share: running, tables, and files whose tables are renewed."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vocoder.errors import VocoderError


def run(main: Callable[[], None]) -> None:
    """Run a script; an error that the user can mend is one line, and the exit status 1."""
    try:
        main()
    except (VocoderError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).splitlines())}")


def replace_blocks(path: Path, blocks: Mapping[str, str]) -> str:
    """The file's text with `<!-- begin NAME -->` … `<!-- end NAME -->` filled anew.

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
