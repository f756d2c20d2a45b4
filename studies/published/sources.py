"""The audio of the pages: from a folder PAGE/SYSTEM/UTTERANCE.flac, or from git."""

import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from studies.published.pages import Page, PublishedFile, Repository
from vocoder.data.audio import read_audio
from vocoder.data.files import replacing, write_text
from vocoder.errors import VocoderError

CHECKSUMS = Path(__file__).parent / "checksums.tsv"
SUFFIXES = (".flac", ".wav")
HOST = "https://github.com"


def find_file(source: Path, page: str, file: PublishedFile) -> Path | None:
    """The file of an utterance in a folder of audio, FLAC or WAV; None if missing."""
    stem = source / page / file.system / file.utterance
    candidates = (stem.with_name(f"{stem.name}{suffix}") for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def check_source(source: Path, pages: Mapping[str, Page]) -> None:
    """Check that every file exists and has the measured samples.

    Raises:
        VocoderError: a file is missing or has another checksum; the message names the first one.
    """
    known = read_checksums()
    for name, page in pages.items():
        for file in page.files():
            path = find_file(source, name, file)
            if path is None:
                raise VocoderError(
                    f"{source / name / file.system}: {file.utterance} is missing (.flac or .wav); "
                    "leave SOURCE out to have the public repositories cloned"
                )
            key = f"{name}/{file.system}/{file.utterance}"
            if known.get(key) != checksum(path):
                raise VocoderError(
                    f"{path}: not the samples that were measured ({CHECKSUMS.name} has "
                    f"{known.get(key, 'no line for it')}); fetch the file again"
                )


def checksum(path: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the rate and the 16-bit samples.

    A WAV and a FLAC of the same samples have the same checksum.
    """
    audio = read_audio(path)
    samples = (audio.waveform * 32768).round().clamp(-32768, 32767).short().numpy()
    digest = hashlib.sha256(f"{audio.sample_rate} ".encode())
    digest.update(samples.tobytes())
    return digest.hexdigest()[:16]


def read_checksums(path: Path = CHECKSUMS) -> dict[str, str]:
    """Checksums by PAGE/SYSTEM/UTTERANCE."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def write_checksums(source: Path, pages: Mapping[str, Page], path: Path = CHECKSUMS) -> None:
    """Write the checksums of the measured files, after adding a page."""
    lines = []
    for name, page in pages.items():
        for file in page.files():
            found = find_file(source, name, file)
            if found is None:
                raise VocoderError(f"{name}/{file.system}/{file.utterance}: missing in {source}")
            lines.append(f"{name}/{file.system}/{file.utterance}\t{checksum(found)}\n")
    write_text(path, "".join(lines))


def download(source: Path, pages: Mapping[str, Page], host: str = HOST) -> None:
    """Extract every file missing in `source` from the public repositories, by git.

    If the server allows it, only the named commit and the required files are transferred.
    Repositories are kept in `source/.git-NAME` until all their files are extracted.

    Args:
        source: folder for the audio.
        pages: the pages to download.
        host: prefix of "/owner/name"; may be a folder of bare repositories.

    Raises:
        VocoderError: git failed or a repository lacks a file; the message names it.
    """
    wanted: dict[Repository, list[tuple[str, PublishedFile]]] = {}
    for name, page in pages.items():
        for file in page.files():
            if find_file(source, name, file) is None:
                wanted.setdefault(file.repository, []).append((name, file))
    for repository, files in wanted.items():
        print(f"{repository.name}: {len(files)} files", flush=True)
        clone = source / f".git-{repository.name.replace('/', '+')}"
        fetch_commit(clone, f"{host}/{repository.name}", repository)
        for name, file in files:
            target = source / name / file.system / f"{file.utterance}.wav"
            with replacing(target) as temporary:
                temporary.write_bytes(_git(clone, ["show", f"{repository.commit}:{file.path}"]))


def fetch_commit(clone: Path, url: str, repository: Repository) -> None:
    """Fetch one commit of a repository into a bare clone, without its files if possible."""
    if not clone.exists():
        clone.mkdir(parents=True)
        _git(clone, ["init", "--quiet", "--bare"])
        _git(clone, ["remote", "add", "origin", url])
    options = ["--quiet", "--depth=1", "--filter=blob:none"]
    _git(clone, ["fetch", *options, "origin", repository.commit])


def _git(folder: Path, arguments: Iterable[str]) -> bytes:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise VocoderError(f"git cannot be started ({error.strerror}); install it") from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise VocoderError(f"{' '.join(command)}: {said}")
    return done.stdout
