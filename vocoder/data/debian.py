"""Speech from Debian packages: fetch, verify, and read without installing.

A .deb is an `ar` archive that holds a compressed tar of the files (deb(5)); both are read here
with the standard library, so neither dpkg nor root access is needed.
"""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vocoder.errors import CorpusError

AR_MAGIC = b"!<arch>\n"
AR_HEADER_BYTES = 60


@dataclass(frozen=True)
class Package:
    """A Debian package of one exact version, with the SHA-256 of its file."""

    name: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """File name used by apt."""
        return f"{self.name}_{self.version}_all.deb"


def cache_folder() -> Path:
    """Folder for downloads: `$VOCODER_CACHE`, else `~/.cache/vocoder`.

    Raises CorpusError if the user has no home folder.
    """
    if named := os.environ.get("VOCODER_CACHE"):
        return Path(named)
    try:
        return Path.home() / ".cache" / "vocoder"
    except RuntimeError as error:
        raise CorpusError("no home folder for the cache; set VOCODER_CACHE to a folder") from error


def fetch(package: Package, folder: Path) -> Path:
    """Return the verified package file in `folder`; download it with `apt-get` if it is missing.

    Raises CorpusError if apt-get is missing or fails (the message says how to fetch the file by
    hand), or if the checksum differs.
    """
    path = folder / package.filename
    if not path.is_file():
        _download(package, folder)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        raise CorpusError(
            f"{path}: SHA-256 is {digest}, not {package.sha256}; delete it and {_by_hand(package)}"
        )
    return path


def read_package(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the regular files in a package whose name `wanted` accepts.

    Names are file-system paths without the leading "./". Raises CorpusError if the file is no
    Debian package.
    """
    with path.open("rb") as file:
        data = _data_member(file, path)
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if not member.isfile() or not wanted(name):
                    continue
                content = archive.extractfile(member)
                if content is not None:
                    yield name, content.read()
    except (tarfile.TarError, EOFError) as error:
        raise CorpusError(f"{path}: a damaged package ({error}); delete it, run again") from error


def _download(package: Package, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("apt-get") is None:
        raise CorpusError(
            f"{folder / package.filename} is missing, and so is apt-get: {_by_hand(package)}"
        )
    # apt downloads into its working folder and leaves no partial file under the final name.
    run = subprocess.run(
        ["apt-get", "download", "--quiet", f"{package.name}={package.version}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0 or not (folder / package.filename).is_file():
        reason = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise CorpusError(
            f"apt-get download {package.name} failed in {folder} ({reason}): "
            f"run `apt-get update`, or {_by_hand(package)}"
        )


def _by_hand(package: Package) -> str:
    return (
        f"put {package.filename} there by hand, from the package {package.name} of Debian 12 "
        f"(https://packages.debian.org/bookworm/{package.name}), or name its folder by --source"
    )


def _data_member(file: BinaryIO, path: Path) -> bytes:
    """The compressed tar of files in an `ar` archive (deb(5)): magic, then 60-byte headers."""
    if file.read(len(AR_MAGIC)) != AR_MAGIC:
        raise CorpusError(f"{path}: not a Debian package; delete it and run again")
    while len(header := file.read(AR_HEADER_BYTES)) == AR_HEADER_BYTES:
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            return file.read(size)
        file.seek(size + size % 2, os.SEEK_CUR)
    raise CorpusError(f"{path}: a Debian package without files; delete it and run again")
