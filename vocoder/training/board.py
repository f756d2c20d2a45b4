"""TensorBoard's file of events, with one-line errors where it cannot be written."""

import itertools
import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.writer import FileWriter

from vocoder.data.files import naming_errors

VERSION = "brain.Event:2"
_numbers = itertools.count()


class Board(SummaryWriter):
    """A SummaryWriter that writes in the calling thread.

    The base class writes in a thread of its own, which prints a traceback where the disk is full.

    Raises:
        OutputError: the file cannot be written; any method may raise it.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        super().__init__(str(folder), purge_step=purge_step)

    def _get_file_writer(self) -> FileWriter:
        writer: Any = self.file_writer
        if writer is None:
            writer = _FileWriter(Path(self.log_dir))
            # The base class sets both to None at first, which mypy takes for their type.
            self.file_writer = writer
            self.all_writers = {self.log_dir: writer}  # type: ignore[assignment]
            if self.purge_step is not None:  # what a killed run logged from there on is void
                start = SessionLog(status=SessionLog.START)
                writer.add_event(Event(session_log=start), self.purge_step)
                self.purge_step = None
        return writer


class _FileWriter(FileWriter):
    def __init__(self, folder: Path) -> None:
        self.event_writer = _EventFile(folder)
        self.add_event(Event(file_version=VERSION))


class _EventFile:
    """The methods of TensorBoard's EventFileWriter that its callers need."""

    def __init__(self, folder: Path) -> None:
        place = f"{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self.path = folder / f"events.out.tfevents.{time.time():010.0f}.{place}"
        with naming_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("wb")

    def get_logdir(self) -> str:
        return str(self.path.parent)

    def add_event(self, event: Event) -> None:
        with naming_errors(self.path):
            RecordWriter(self._file).write(event.SerializeToString())
            self._file.flush()

    def flush(self) -> None:
        """Nothing to do: every event is flushed."""

    def close(self) -> None:
        with naming_errors(self.path):
            self._file.close()
