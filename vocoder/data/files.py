"""Atomic writing of files and folders."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from vocoder.errors import VocoderError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an
    error.

    A missing folder is created. The temporary file keeps the suffix (encoders choose the format by
    it) and starts with a dot, so that searches for audio skip it. A killed process leaves at most
    that hidden file, never a partial `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid4().hex[:8]}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; rename it to `folder` when the block ends without an
    error.

    An existing folder is replaced as a whole; after an error it is unchanged. A killed process
    leaves at most hidden folders (`.NAME.*`): an existing folder is then still complete, or,
    between the two renames, complete under its hidden name.

    Raises:
        VocoderError: the folder cannot be created.
    """
    mark = uuid4().hex[:8]
    fresh, former = (folder.with_name(f".{folder.name}.{mark}.{end}") for end in ("part", "old"))
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        raise VocoderError(f"{folder}: cannot be made ({error.strerror})") from error
    try:
        yield fresh
        if folder.exists():
            folder.rename(former)
        fresh.rename(folder)
    finally:
        if former.exists() and not folder.exists():
            former.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
