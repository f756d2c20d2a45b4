"""Files that may come from strangers: regular ones alone are read, up to a size, as UTF-8.

A pipe or a device (also behind a link) is refused before it is read, since reading it may never
end.
"""

import csv
import io
import json
import math
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from vocoder.errors import VocoderError, one_line

MOST_TEXT_BYTES = 1 << 20
"""Largest recipe, description or similar document that is read."""

MOST_TABLE_BYTES = 1 << 30
"""Largest table, manifest or summary that is read."""

MOST_YAML_DEPTH = 64
MOST_YAML_VALUES = 50_000


@contextmanager
def open_file(path: Path, error: type[VocoderError]) -> Iterator[tuple[io.BufferedReader, int]]:
    """A regular file open for reading, and its size in bytes.

    Args:
        path: of the file; links are followed.
        error: class of the errors.

    Raises:
        error: the file is missing, unreadable, a folder, a pipe or a device.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as reason:
        raise error(f"{path}: cannot be read, it does not exist; check the path") from reason
    except OSError as reason:
        raise error(f"{path}: cannot be read ({reason.strerror})") from reason
    except ValueError as reason:  # a null character
        raise error(f"{str(path)!r}: not a path of a file ({reason})") from reason
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise error(f"{path}: cannot be read: {what}, not a regular file")
    with open(descriptor, "rb") as file:
        try:
            yield file, status.st_size
        except OSError as reason:
            raise error(f"{path}: cannot be read ({reason.strerror or reason})") from reason


def read_bytes(path: Path, error: type[VocoderError], most: int = MOST_TEXT_BYTES) -> bytes:
    """The content of a regular file of at most ``most`` bytes; see :func:`open_file`."""
    with open_file(path, error) as (file, _):
        content = file.read(most + 1)
    if len(content) > most:
        raise error(f"{path}: larger than {most} bytes, which no such file needs; check the path")
    return content


def read_text(path: Path, error: type[VocoderError], most: int = MOST_TEXT_BYTES) -> str:
    """The text of a regular UTF-8 file of at most ``most`` bytes; see :func:`open_file`."""
    try:
        return read_bytes(path, error, most).decode("utf-8")
    except UnicodeDecodeError as reason:
        raise error(f"{path}: cannot be read as UTF-8 ({reason}); save it as UTF-8") from reason


def read_json(path: Path, error: type[VocoderError], most: int = MOST_TEXT_BYTES) -> Any:
    """The value of a JSON file, without NaN and infinity; see :func:`read_text`."""
    try:
        return json.loads(read_text(path, error, most), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as reason:
        raise error(f"{path}: not valid JSON ({one_line(reason)})") from reason


def read_table(
    path: Path, columns: Sequence[str], error: type[VocoderError]
) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by column, each with the number of its last line.

    Args:
        path: of the file, whose first line names the columns.
        columns: that must be among them.
        error: class of the errors.

    Raises:
        error: it cannot be read, lacks a column, or a row has too few or too many cells.
    """
    text = read_text(path, error, MOST_TABLE_BYTES).removeprefix("\ufeff")
    # Not splitlines(): a cell may hold a line break.
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = []
    try:
        if missing := sorted(set(columns) - set(reader.fieldnames or ())):
            raise error(
                f"{path}: no column {missing[0]!r}; the first line must name {','.join(columns)}"
            )
        for row in reader:
            if None in row or None in row.values():
                raise error(
                    f"{path}:{reader.line_num}: not as many cells as the first line; repair it"
                )
            rows.append((reader.line_num, row))
    except csv.Error as reason:
        raise error(f"{path}:{reader.line_num}: not valid CSV ({reason})") from reason
    return rows


def parse_yaml(text: str, source: str, error: type[VocoderError]) -> tuple[Any, yaml.Node | None]:
    """The value of a YAML document, and its tree of nodes, which knows the lines.

    Args:
        text: the document.
        source: names it in errors.
        error: class of the errors.

    Raises:
        error: not valid YAML, a number or date that Python does not have, or more or deeper values
            than any recipe has, counted with every alias in full.
    """
    try:
        _check_depth(text)
        node = yaml.compose(text, yaml.SafeLoader)
        if node is not None:
            _expanded(node, {}, set())
        value = yaml.safe_load(text)
    # Beside YAMLError, constructors of dates and numbers raise ValueError and others.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as reason:
        raise error(f"{source}: not valid YAML: {one_line(reason)}") from reason
    return value, node


def _check_depth(text: str) -> None:
    """Raise a YAMLError for too deep nesting, before the recursive reader sees it."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        _check_size(event, depth, number // 2)  # a collection has two events


def _expanded(
    node: yaml.Node, known: dict[int, tuple[int, int]], above: set[int]
) -> tuple[int, int]:
    """Number of values and depth of a node with its aliases in full.

    Raises a YAMLError where it contains itself, or has too many or too deep values.
    """
    if id(node) in above:
        raise yaml.YAMLError(f"line {node.start_mark.line + 1}: this value contains itself")
    if id(node) not in known:
        children = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in children for child in pair]
        sizes = [_expanded(child, known, above | {id(node)}) for child in children]
        count = 1 + sum(size for size, _ in sizes)
        depth = 1 + max((depth for _, depth in sizes), default=0)
        _check_size(node, depth, count)
        known[id(node)] = count, depth
    return known[id(node)]


def _check_size(place: yaml.Node | yaml.Event, depth: int, count: int) -> None:
    if depth > MOST_YAML_DEPTH or count > MOST_YAML_VALUES:
        assert place.start_mark is not None
        raise yaml.YAMLError(
            f"line {place.start_mark.line + 1}: more than {MOST_YAML_DEPTH} levels or "
            f"{MOST_YAML_VALUES} values"
        )


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
