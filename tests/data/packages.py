"""Debian packages for the tests: an `ar` archive around a compressed tar (deb(5))."""

import hashlib
import io
import tarfile
from pathlib import Path


def deb(files: dict[str, bytes]) -> bytes:
    """A .deb that installs `files`, names as in ./usr/share/…."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        folder = tarfile.TarInfo("./usr")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return (
        b"!<arch>\n"
        + _member("debian-binary", b"2.0\n")
        + _member("control.tar.xz", b"odd")  # an odd size: padded to an even one
        + _member("data.tar.xz", packed.getvalue())
    )


def put(folder: Path, filename: str, files: dict[str, bytes]) -> str:
    """Write a package into a folder and give its SHA-256."""
    content = deb(files)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / filename).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _member(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)
