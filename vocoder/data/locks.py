"""A lock on a folder that only one process may write into."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vocoder.data.files import is_running, naming_errors
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
    with naming_errors(path):
        descriptor = _acquired(path)
    try:
        with naming_errors(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{json.dumps(_own_name())}\n".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        _close(descriptor, folder)


def _acquired(path: Path) -> int:
    """Descriptor of the lock file, with the lock held."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _taken(descriptor):
            owner = os.pread(descriptor, 1000, 0).decode("utf-8", "replace").strip()
            _close(descriptor, path.parent)
            raise OutputError(
                f"{path.parent}: in use by another process ({owner}); wait for it, end it, or "
                f"choose another --output (if it is gone for certain, delete {path})"
            )
        # The owner before may have removed the file between the opening and the locking: a lock on
        # a removed file keeps nobody out.
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


def _close(descriptor: int, folder: Path) -> None:
    """Close the lock file; remove the folder if it is empty."""
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
