"""Files and folders that are either whole or absent."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from vocoder.errors import VocoderError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there when the block ends without an error.

    The folder is made if it is missing. The temporary file keeps the suffix (encoders choose the
    format by it) and starts with a dot, so that no search for audio picks it up. A killed process
    leaves at most that hidden file, never half of `path`.
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
    """Give a new, empty folder beside `folder`; move it there when the block ends without an error.

    A folder that was there is replaced as a whole; after an error it stands as it was. A killed
    process leaves at most hidden folders (`.NAME.*`): a folder that was there before is then either
    still whole, or, between two renamings, whole under its hidden name.

    Raises:
        VocoderError: the folder cannot be made.
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
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
