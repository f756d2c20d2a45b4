"""Preparing a corpus: from its source to 16-bit WAVs per split and a manifest."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vocoder.data.debian import cache_folder
from vocoder.data.folder import BY_FOLDER, folder_corpus, own_rates
from vocoder.data.layout import MANIFEST, Recording, claim, is_complete, lay_out
from vocoder.data.local import librispeech, libritts, ljspeech, speechocean762, tiny, vctk
from vocoder.data.manifest import Utterance, read_manifest
from vocoder.data.packaged import asterisk, festvox_ru
from vocoder.errors import CorpusError


@dataclass(frozen=True)
class Corpus:
    """How one corpus is prepared.

    sample_rate: default output rate (Hz).
    list_recordings: function from the source and output folders to all recordings.
    downloads: whether the source is a download folder, to which missing files are fetched.
    """

    sample_rate: int
    list_recordings: Callable[[Path, Path], list[Recording]]
    downloads: bool = False


FOLDER = "folder"
"""The user's own recordings, see `vocoder.data.folder`."""
CORPORA = {
    "festvox_ru": Corpus(16000, festvox_ru, downloads=True),
    "asterisk": Corpus(16000, asterisk, downloads=True),
    "ljspeech": Corpus(22050, ljspeech),
    "vctk": Corpus(24000, vctk),
    "libritts": Corpus(24000, libritts),
    "librispeech": Corpus(16000, librispeech),
    "speechocean762": Corpus(16000, speechocean762),
    "tiny": Corpus(16000, tiny),
}


def prepare(
    corpus: str,
    output: str | Path,
    source: str | Path | None = None,
    sample_rate: int | None = None,
    progress: bool = True,
    jobs: int = -1,
    speakers: str = BY_FOLDER,
    licence: str = "not stated",
    mels: Path | None = None,
    note: Callable[[str], None] = print,
) -> list[Utterance]:
    """Write a corpus into `output` and return the utterances of its manifest.

    Writes `wavs/SPLIT/….wav` (mono, 16-bit), `manifest.jsonl` and the licence notices. A second run
    writes only missing files.

    corpus: a key of `CORPORA`, or "folder" for the user's own recordings.
    source: for a corpus from Debian packages, the folder of the .deb files (default: `downloads` in
        `$VOCODER_CACHE` or ~/.cache/vocoder; missing ones are downloaded there). For the others,
        the folder of the local copy.
    sample_rate: Hz; the corpus's own default if None.
    progress: show a progress bar.
    jobs: decoding and writing threads (-1: one per core).
    speakers, licence, mels: for "folder", see `vocoder.data.folder.folder_corpus`.
    note: callback for warnings, such as files below the output rate.

    Raises CorpusError where the corpus is unknown, cannot be fetched or verified, is not laid out
    as expected, or holds files that cannot be read.
    """
    output = Path(output)
    if corpus == FOLDER:
        if source is None:
            raise CorpusError("folder: name the folder of your recordings by --source")
        if Path(source).resolve() in (output.resolve(), *output.resolve().parents):
            raise CorpusError(
                f"{output}: lies in the source {source}, where it would be read as recordings the "
                "next time; choose another --output"
            )
        how = _own_folder(Path(source), sample_rate, speakers, licence, mels, note)
    elif corpus in CORPORA:
        how = CORPORA[corpus]
    else:
        raise CorpusError(f"unknown corpus {corpus!r}; there are {', '.join([*CORPORA, FOLDER])}")
    rate = sample_rate or how.sample_rate
    if source is None and not how.downloads:
        raise CorpusError(f"{corpus}: name the folder of your local copy by --source")
    claim(output, corpus, rate)
    manifest = output / MANIFEST
    if how.downloads and manifest.exists():
        utterances = read_manifest(manifest)
        if is_complete(output, utterances):
            return utterances
    folder = Path(source) if source is not None else cache_folder() / "downloads"
    recordings = how.list_recordings(folder, output)
    return lay_out(recordings, output, rate, jobs=jobs, progress=progress)


def _own_folder(
    source: Path,
    sample_rate: int | None,
    speakers: str,
    licence: str,
    mels: Path | None,
    note: Callable[[str], None],
) -> Corpus:
    """A folder as a corpus, at its most frequent sample rate; warns about lower rates."""
    if not source.is_dir():
        raise CorpusError(f"{source}: no such folder; name your recordings by --source")
    rates = own_rates(source)
    rate = sample_rate or Counter(rates.values()).most_common(1)[0][0]
    if lower := {path: own for path, own in rates.items() if own < rate}:
        first, own = min(lower.items())
        note(
            f"{len(lower)} files have a lower rate than {rate} Hz ({first}: {own} Hz): above "
            f"{min(lower.values()) / 2:g} Hz they hold nothing, which a model would learn"
        )

    def list_recordings(folder: Path, output: Path) -> list[Recording]:
        # There is no notice to copy into the output.
        return folder_corpus(folder, speakers, licence, mels)

    return Corpus(rate, list_recordings)
