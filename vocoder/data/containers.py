"""Bytes of sound that an audio file's header declares, beside those that the file holds.

libsndfile reads a truncated WAV, RF64, W64, AU, AIFF or CAF as a shorter file without an error.
"""

import struct
from typing import BinaryIO, NamedTuple

UNKNOWN = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
"""Sizes written by programs that do not know the length (into a pipe)."""

_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_MOST_CHUNKS = 1000


class _Layout(NamedTuple):
    """How a file is divided into chunks.

    header: struct format of a chunk's name and size.
    first: offset of the first chunk.
    sound: name of the chunk with the sound.
    alignment: of chunks, in bytes.
    counts_header: whether a chunk's size includes its header.
    """

    header: str
    first: int
    sound: bytes
    alignment: int = 2
    counts_header: bool = False


_RIFF = _Layout("<4sI", 12, b"data")
_LAYOUTS = (
    (b"RIFF", 8, b"WAVE", _RIFF),
    (b"RIFX", 8, b"WAVE", _Layout(">4sI", 12, b"data")),
    (b"RF64", 8, b"WAVE", _RIFF),
    (b"FORM", 8, b"AIF", _Layout(">4sI", 12, b"SSND")),
    (b"caff", 0, b"caff", _Layout(">4sQ", 8, b"data", 1)),
    (_W64_RIFF, 0, _W64_RIFF, _Layout("<16sQ", 40, _W64_DATA, 8, True)),
)


def sound_bytes(file: BinaryIO, file_size: int) -> tuple[int, int]:
    """Bytes of the sound that a header declares, and that are present, (declared, present).

    (0, 0) where the format does not declare them in bytes, such as FLAC, Ogg and MP3, or where the
    size is unknown to its writer.
    """
    file.seek(0)
    head = file.read(40)
    if head[:4] == b".snd" and len(head) >= 12:
        start, declared = struct.unpack_from(">II", head, 4)
        return (0, 0) if declared in UNKNOWN else (declared, max(0, file_size - start))
    for magic, offset, kind, layout in _LAYOUTS:
        if head.startswith(magic) and head[offset:].startswith(kind):
            return _sound_chunk(file, file_size, layout)
    return 0, 0


def _sound_chunk(file: BinaryIO, file_size: int, layout: _Layout) -> tuple[int, int]:
    """Declared and present bytes of the chunk with the sound, (0, 0) if there is none."""
    length = struct.calcsize(layout.header)
    position, long_size = layout.first, 0
    for _ in range(_MOST_CHUNKS):
        if position > file_size:  # perhaps beyond what can be sought, too
            break
        file.seek(position)
        header = file.read(length)
        if len(header) < length:
            break
        name, size = struct.unpack(layout.header, header)
        if layout.counts_header:
            size = max(0, size - length)
        position += length
        if name == b"ds64":  # RF64: sizes beyond 4 GiB stand here, in the first chunk
            sizes = file.read(16)
            long_size = int.from_bytes(sizes[8:16], "little")
        if name == layout.sound:
            size = long_size if size == 0xFFFFFFFF and long_size else size
            return (0, 0) if size in UNKNOWN else (size, max(0, file_size - position))
        position += size + -size % layout.alignment
    return 0, 0
