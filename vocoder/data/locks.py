"""A lock on a folder that only one process may write into."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vocoder.data.files import is_running
from vocoder.errors import OutputError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, the file `.lock` with the owner's process id and host.

    The operating system releases the lock when its owner ends, however it ends: the file of a
    killed process is recognised as stale. Where the file system has no locks, a running process of
    this machine and every process of another machine count as owners. The folder is created, and
    removed again if it stays empty.

    Raises:
        OutputError: another process holds the lock, or the folder cannot be written.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); choose another --output"
        ) from error
    try:
        if not _taken(descriptor):
            owner = os.pread(descriptor, 1000, 0).decode("utf-8", "replace").strip()
            raise OutputError(
                f"{folder}: in use by another process ({owner}); wait for it, end it, or choose "
                f"another --output (if it is gone for certain, delete {path})"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{json.dumps(_own_name())}\n".encode(), 0)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # not empty, which is the rule
            folder.rmdir()


def _own_name() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _taken(descriptor: int) -> bool:
    """Take the lock; False if another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        try:
            owner = json.loads(os.pread(descriptor, 1000, 0))
            here = owner["host"] == socket.gethostname()
            return here and not is_running(int(owner["pid"]))
        except (ValueError, KeyError, TypeError):
            return True
    return True
