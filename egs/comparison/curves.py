"""Quality along the training, by snapshots on validation excerpts; the nearest rival's rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from egs.comparison.commands import evaluate, resynthesise
from egs.comparison.systems import OURS, Layout, System, read_training
from vocoder.data.audio import read_audio, write_audio
from vocoder.data.manifest import Utterance, read_manifest
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import SUMMARY_NAME
from vocoder.evaluation.summary import Score, Summary
from vocoder.training.checkpoint import read_metadata

EXCERPTS, EXCERPT_S, SHORTEST_S = 8, 4.0, 3.0
METRICS = (
    "pesq", "mstft", "mel_distance", "periodicity_tiny", "vuv_f1_tiny", "voicing_f1",
    "f0_rmse_cents", "f0_fine_rmse_cents", "dnsmos", "dnsmos_p808",
)  # fmt: skip
RIVAL_METRIC = "pesq"


@dataclass(frozen=True)
class Point:
    """A snapshot of a run.

    Attributes:
        name: of its folder.
        step: steps of the run so far.
        spent_s: training so far, a teacher's included.
        scores: means over the excerpts, by metric.
    """

    name: str
    step: int
    spent_s: float
    scores: dict[str, Score]


def choose_excerpts(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The eight shortest validation utterances of at least 3 s (all, if there are fewer).

    Raises:
        VocoderError: there is none.
    """
    fitting = [u for u in utterances if u.split == "valid" and u.duration_s >= SHORTEST_S]
    if not fitting:
        raise VocoderError(f"no utterance of split valid lasts {SHORTEST_S:g} s: no curves")
    return sorted(fitting, key=lambda u: (u.duration_s, str(u.path)))[:EXCERPTS]


def write_excerpts(corpus: Path, folder: Path, sample_rate: int) -> None:
    """The first 4 s of each chosen utterance as WAV, unless it is there."""
    for utterance in choose_excerpts(read_manifest(corpus / "manifest.jsonl")):
        path = folder / f"{utterance.path.stem}.wav"
        if not path.exists():
            waveform = read_audio(corpus / utterance.path, sample_rate).waveform
            write_audio(path, waveform[: round(EXCERPT_S * sample_rate)], sample_rate)


def measure_curve(
    system: System, seed: int, layout: Layout, metrics: Sequence[str], jobs: int
) -> None:
    """Resynthesise the excerpts by every snapshot of a run and score them; what is there stays."""
    snapshots = sorted(layout.training(system.name, seed).joinpath("snapshots").glob("at-*"))
    if not snapshots:
        raise VocoderError(
            f"{layout.training(system.name, seed)}: no snapshots; training.snapshots of its recipe "
            "is empty"
        )
    audio, scores = (
        layout.curve_audio(system.name, seed),
        layout.curve_scores(system.name, seed),
    )
    folders = {snapshot.name: audio / snapshot.name for snapshot in snapshots}
    for snapshot in snapshots:
        resynthesise(snapshot, layout.excerpts, folders[snapshot.name])
    if not _scored(scores, folders, metrics):
        evaluate(layout.excerpts, folders, scores, metrics, jobs)


def _scored(scores: Path, folders: dict[str, Path], metrics: Sequence[str]) -> bool:
    """Whether an evaluation of these folders is there that is younger than all their files."""
    path = scores / SUMMARY_NAME
    if not path.exists():
        return False
    summary = read_summary(scores)
    newest = max(file.stat().st_mtime for folder in folders.values() for file in folder.iterdir())
    return (
        list(summary.systems) == list(folders)
        and list(summary.metrics) == list(metrics)
        and path.stat().st_mtime > newest
    )


def read_summary(folder: Path) -> Summary:
    """`summary.json` of an evaluation."""
    path = folder / SUMMARY_NAME
    try:
        return Summary.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VocoderError(f"{path}: no readable evaluation ({error}); evaluate again") from error


def read_curve(system: str, seed: int, layout: Layout) -> list[Point]:
    """The snapshots of a run in the order of its training; empty where none were scored."""
    scores = layout.curve_scores(system, seed)
    if not (scores / SUMMARY_NAME).exists():
        return []
    teacher = read_training(layout.teacher(system, seed))
    before_s = 0.0 if teacher is None else teacher.spent_s
    points = []
    for name, scored in read_summary(scores).systems.items():
        metadata = read_metadata(layout.training(system, seed) / "snapshots" / name)
        points.append(Point(name, metadata["step"], before_s + metadata["spent_s"], scored.scores))
    return sorted(points, key=lambda point: point.step)


def nearest_rival(layout: Layout, systems: Sequence[System]) -> str:
    """The rule, written down before any training: of all other neural systems the one with the
    highest mean PESQ-WB over the validation excerpts at the end of the budget, seed 0.

    Raises:
        VocoderError: no other system has a curve.
    """
    ends: dict[str, float] = {}
    for system in systems:
        curve = read_curve(system.name, 0, layout)
        if system.name != OURS and curve:
            score = curve[-1].scores.get(RIVAL_METRIC)
            if score is None:
                raise VocoderError(
                    f"{layout.curve_scores(system.name, 0)}: the nearest rival is chosen by "
                    f"{RIVAL_METRIC}; add it to the metrics"
                )
            if score.mean is not None:
                ends[system.name] = score.mean
    if not ends:
        raise VocoderError("no rival has a curve yet; run the stages train and curves first")
    return max(ends, key=lambda name: ends[name])
