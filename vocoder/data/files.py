"""Atomic and durable writing of files and folders.

What is written is complete under its name or absent, also after a kill, a full disk or a power
failure: it is written beside its place, forced to the disk, and renamed.
"""

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from vocoder.errors import OutputError, VocoderError

_LEFTOVER = re.compile(r"\.(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{8}\.(part|old)")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an
    error.

    A missing folder is created. The temporary file keeps the suffix (encoders choose the format by
    it) and starts with a dot, so that searches for audio skip it. A killed process leaves at most
    that hidden file, which `remove_leftovers` removes, never a partial `path`.

    Raises:
        OutputError: it cannot be written, for example because the disk is full.
    """
    with naming_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{_mark()}.part{path.suffix}")
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; rename it to `folder` when the block ends without an
    error.

    An existing folder is replaced as a whole; after an error it is unchanged. A killed process
    leaves at most hidden folders: an existing folder is then still complete, or, between the two
    renames, complete under its hidden name.

    Raises:
        OutputError: it cannot be written.
    """
    mark = _mark()
    fresh, former = (folder.with_name(f"{mark}.{end}") for end in ("part", "old"))
    with naming_errors(folder):
        fresh.mkdir(parents=True)
        try:
            with _named_as(folder, fresh):
                yield fresh
            for parent, _, files in os.walk(fresh):
                for name in (*files, "."):
                    _sync(Path(parent, name))
            if folder.exists():
                folder.rename(former)
            fresh.rename(folder)
            _sync(folder.parent)
        finally:
            if former.exists() and not folder.exists():
                former.rename(folder)
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(former, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path` atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes of this machine left of `replacing` in a folder and below."""
    for parent, folders, files in os.walk(folder):
        for name in [name for name in folders if _is_leftover(name)]:
            folders.remove(name)
            shutil.rmtree(Path(parent, name), ignore_errors=True)
        for name in files:
            if _is_leftover(name):
                Path(parent, name).unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Whether this machine runs a process of this number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def _is_leftover(name: str) -> bool:
    found = _LEFTOVER.match(name)
    return (
        found is not None
        and found["host"] == socket.gethostname()
        and not is_running(int(found["pid"]))
    )


def _mark() -> str:
    """Hidden name of a temporary file of this process."""
    return f".{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"


@contextmanager
def _named_as(folder: Path, fresh: Path) -> Iterator[None]:
    """Let errors of files in a temporary folder name them by their place in the final one."""
    try:
        yield
    except OutputError as error:
        raise OutputError(str(error).replace(str(fresh), str(folder))) from error


def _sync(path: Path) -> None:
    """Force a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Some network file systems cannot do that for folders.
        with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system into one that names the path and the reason."""
    try:
        yield
    except VocoderError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); free space, or choose another "
            "folder that you may write to"
        ) from error
