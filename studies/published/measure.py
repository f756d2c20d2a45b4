"""Resynthesis by our vocoders, and all scores, as files in the repository.

`scores/PAGE.json` has the constant scores: the authors' systems, the recording, Griffin-Lim and
WORLD. `scores/ours/DATE_NAME.json` holds one set of our weights on all pages; a new set, or the
same name on a later day, is one more file, so that the tables show the progress.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from studies.published.pages import RECORDING, Page
from studies.published.systems import Weights, classical, gmac_per_second
from studies.resynthesis import resynthesise_folder
from studies.scores import Scores, read_evaluation, read_model, write_model
from studies.scripts import today
from vocoder.config import Config
from vocoder.data.audio import find_audio
from vocoder.evaluation.cache import default_cache
from vocoder.evaluation.folders import evaluate_folders
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.loading import MODEL, SHIPPED
from vocoder.models.base import Vocoder
from vocoder.models.waveform import WaveVocoder
from vocoder.training.checkpoint import provenance

SCORES = Path(__file__).parent / "scores"
COMMON_RATE = 16_000
METRICS = (
    "pesq", "estoi", "mstft", "mel_distance", "f0_fine_rmse_cents", "gross_pitch_error",
    "voicing_error", "voicing_f1", "periodicity_tiny", "vuv_f1_tiny", "dnsmos", "dnsmos_p808",
    "distillmos", "speaker_similarity", "level_difference",
)  # fmt: skip
NATIVE_METRICS = ("mstft", "mel_distance")
"""Metrics that cover frequencies above 8 kHz; the others work at 16 kHz by definition."""
MAX_DELAY_MS = 100.0
MAX_LENGTH_DIFFERENCE_S = 1.0


class Measured(Config):
    """One system on one page.

    Fields:
        common: all metrics at 16 kHz, delay removed, level matched.
        native: metrics of the upper band at the page's own rate; None if the system's rate is
            lower, or the page's is 16 kHz.
    """

    common: Scores
    native: Scores | None = None


class PageScores(Config):
    """Scores of a page's systems, the recording, and classical vocoders.

    Fields:
        page: stem of its YAML file.
        measured: date.
        commit: revision of this repository.
        labels: of the classical vocoders in tables.
        systems: all scores by name.
    """

    page: str
    measured: str
    commit: str
    labels: dict[str, str]
    systems: dict[str, Measured]


class OwnScores(Config):
    """One set of our weights on all pages.

    Fields:
        name: of the weights.
        label: name in tables.
        trial: True if not shipped.
        measured: date.
        commit: revision of this repository.
        weights_sha256: of model.safetensors, its first 16 digits.
        mel_preset: input of the model.
        parameters_m: millions of parameters.
        gmac_per_second: 10⁹ multiply-accumulates for a second of audio.
        pages: scores by page.
    """

    name: str
    label: str
    trial: bool
    measured: str
    commit: str
    weights_sha256: str
    mel_preset: str
    parameters_m: float
    gmac_per_second: float
    pages: dict[str, Measured]


def measure_page(
    name: str, page: Page, source: Path, made: Path, presets: list[str], jobs: int
) -> PageScores:
    """Score the page's own systems, the recording and the classical vocoders.

    Args:
        name: of the page.
        page: its description.
        source: folder of its audio.
        made: folder for generated audio and tables.
        presets: additional mels for Griffin-Lim beside the page's own.
        jobs: worker processes.
    """
    folder = source / name
    recording = folder / RECORDING
    systems = {system: folder / system for system in page.systems}
    rates = dict.fromkeys(systems, page.sample_rate)
    found = classical(page, presets)
    for own, (_, build) in found.items():
        systems[own] = made / name / own
        rates[own] = _speak(build, recording, systems[own])
    systems[RECORDING], rates[RECORDING] = recording, page.sample_rate
    return PageScores(
        page=name,
        measured=today(),
        commit=provenance()["git_revision"],
        labels={own: label for own, (label, _) in found.items()},
        systems=_score(page, recording, systems, rates, made / name / "scores", jobs),
    )


def measure_weights(
    weights: Weights, pages: Mapping[str, Page], source: Path, made: Path, jobs: int
) -> OwnScores:
    """Score one set of our weights on every page."""
    vocoder = weights.load()
    scores = {}
    for name, page in pages.items():
        folder = made / name / weights.name
        recording = source / name / RECORDING
        rate = _speak(lambda: vocoder, recording, folder)
        scores[name] = _score(
            page, recording, {weights.name: folder}, {weights.name: rate},
            made / name / f"scores-{weights.name}", jobs,
        )[weights.name]  # fmt: skip
    return OwnScores(
        name=weights.name,
        label=weights.label,
        trial=weights.trial,
        measured=today(),
        commit=provenance()["git_revision"],
        weights_sha256=_sha256(weights.folder / MODEL),
        mel_preset=preset_of(vocoder.spec),
        parameters_m=vocoder.parameters_count / 1e6,
        gmac_per_second=gmac_per_second(vocoder),
        pages=scores,
    )


def _speak(build: Callable[[], Vocoder | WaveVocoder], recording: Path, folder: Path) -> int:
    """Resynthesise the recordings into a folder, atomically; returns its rate."""
    vocoder = build()
    if not folder.exists():
        print(f"{folder}", flush=True)
        resynthesise_folder(vocoder, recording, folder)
    return vocoder.sample_rate


def _score(
    page: Page,
    recording: Path,
    systems: Mapping[str, Path],
    rates: Mapping[str, int],
    output: Path,
    jobs: int,
) -> dict[str, Measured]:
    """All metrics at the common rate; those of the upper band at the page's rate."""
    common = _evaluate(recording, systems, output / "common", METRICS, COMMON_RATE, jobs)
    native: dict[str, Scores] = {}
    if page.sample_rate > COMMON_RATE:
        full_band = {
            name: path for name, path in systems.items() if rates[name] >= page.sample_rate
        }
        if full_band:
            native = _evaluate(
                recording, full_band, output / "native", NATIVE_METRICS, page.sample_rate, jobs
            )
    return {name: Measured(common=common[name], native=native.get(name)) for name in systems}


def _evaluate(
    recording: Path,
    systems: Mapping[str, Path],
    output: Path,
    metrics: tuple[str, ...],
    sample_rate: int,
    jobs: int,
) -> dict[str, Scores]:
    evaluate_folders(
        recording,
        dict(systems),
        output,
        metrics,
        utterances=[path.stem for path in find_audio([recording])],
        jobs=jobs,
        max_delay_ms=MAX_DELAY_MS,
        max_length_difference_s=MAX_LENGTH_DIFFERENCE_S,
        match_level=True,
        sample_rate=sample_rate,
        cache=default_cache(),
    )
    return read_evaluation(output)


# -- the files of the repository -----------------------------------------------------------------


def page_path(name: str, folder: Path = SCORES) -> Path:
    """File of a page's scores."""
    return folder / f"{name}.json"


def own_path(scores: OwnScores, folder: Path = SCORES) -> Path:
    """File of the scores of our weights; a second commit measured on one day gets a number."""
    stem, number = f"{scores.measured}_{scores.name}", 1
    path = folder / "ours" / f"{stem}.json"
    while path.exists() and read_model(OwnScores, path).commit != scores.commit:
        number += 1
        path = folder / "ours" / f"{stem}_{number}.json"
    return path


def write_page(scores: PageScores, folder: Path = SCORES) -> Path:
    """Write a page's scores; returns the path."""
    path = page_path(scores.page, folder)
    write_model(path, scores)
    return path


def write_own(scores: OwnScores, folder: Path = SCORES) -> Path:
    """Write the scores of our weights; returns the path."""
    path = own_path(scores, folder)
    write_model(path, scores)
    return path


def read_page_scores(pages: Mapping[str, Page], folder: Path = SCORES) -> dict[str, PageScores]:
    """Scores of all measured pages, by page."""
    paths = {name: page_path(name, folder) for name in pages}
    return {name: read_model(PageScores, path) for name, path in paths.items() if path.exists()}


def read_own_scores(folder: Path = SCORES) -> list[OwnScores]:
    """All measured scores of ours, oldest first."""
    paths = sorted((folder / "ours").glob("*.json"))
    return [read_model(OwnScores, path) for path in paths]


def latest(own: list[OwnScores]) -> list[OwnScores]:
    """The newest scores of each name: shipped weights in their order, then trials."""
    newest = {scores.name: scores for scores in own}

    def rank(scores: OwnScores) -> tuple[bool, int]:
        shipped = [i for i, name in enumerate(SHIPPED) if scores.name.startswith(name)]
        return scores.trial, min(shipped, default=len(SHIPPED))

    return sorted(newest.values(), key=rank)


def preset_of(spec: MelSpec) -> str:
    """The preset name of a mel, or its fingerprint."""
    names = [name for name, preset in PRESETS.items() if preset.fingerprint == spec.fingerprint]
    return names[0] if names else spec.fingerprint


def presets_of(weights: list[Weights]) -> list[str]:
    """The input presets of our weights."""
    found = []
    for each in weights:
        vocoder: Vocoder = each.load()
        found.append(preset_of(vocoder.spec))
    return list(dict.fromkeys(found))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
