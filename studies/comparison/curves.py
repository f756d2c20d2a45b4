"""Quality during training, from snapshots on validation excerpts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.comparison.commands import evaluate, resynthesise
from studies.comparison.systems import Layout, System
from studies.scores import Scores, read_evaluation
from vocoder.data.audio import read_audio, write_audio
from vocoder.data.manifest import Utterance, read_manifest
from vocoder.errors import VocoderError
from vocoder.loading import read_metadata

EXCERPTS, EXCERPT_S, SHORTEST_S = 8, 4.0, 3.0
METRICS = (
    "pesq", "mstft", "mel_distance", "periodicity_tiny", "vuv_f1_tiny", "voicing_f1",
    "f0_rmse_cents", "f0_fine_rmse_cents", "dnsmos", "dnsmos_p808",
)  # fmt: skip


@dataclass(frozen=True)
class Snapshot:
    """Averaged weights during training.

    Attributes:
        step: steps of the run so far.
        spent_s: training so far, a teacher's excluded.
    """

    step: int
    spent_s: float


def choose_excerpts(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The eight shortest validation utterances of at least 3 s (all, if there are fewer).

    Raises:
        VocoderError: there are none.
    """
    fitting = [u for u in utterances if u.split == "valid" and u.duration_s >= SHORTEST_S]
    if not fitting:
        raise VocoderError(f"no utterance of split valid lasts {SHORTEST_S:g} s: no curves")
    return sorted(fitting, key=lambda u: (u.duration_s, str(u.path)))[:EXCERPTS]


def write_excerpts(corpus: Path, folder: Path, sample_rate: int) -> None:
    """Write the first 4 s of each chosen utterance as WAV, unless it exists."""
    for utterance in choose_excerpts(read_manifest(corpus / "manifest.jsonl")):
        path = folder / f"{utterance.path.stem}.wav"
        if not path.exists():
            waveform = read_audio(corpus / utterance.path, sample_rate).waveform
            write_audio(path, waveform[: round(EXCERPT_S * sample_rate)], sample_rate)


def measure_curve(
    system: System, seed: int, layout: Layout, metrics: Sequence[str], jobs: int
) -> dict[str, Scores]:
    """Resynthesise the excerpts by every snapshot of a run and score them, by snapshot."""
    run, curve = layout.training(system.name, seed), layout.curve(system.name, seed)
    folders = {name: curve / "audio" / name for name in read_snapshots(run)}
    for name, folder in folders.items():
        resynthesise(run / "snapshots" / name, layout.excerpts, folder)
    evaluate(layout.excerpts, folders, curve / "scores", metrics, jobs)
    return read_evaluation(curve / "scores")


def read_snapshots(run: Path) -> dict[str, Snapshot]:
    """Snapshots of a run by folder name, in training order.

    Raises:
        VocoderError: the run has none.
    """
    folders = sorted((run / "snapshots").glob("at-*"))
    if not folders:
        raise VocoderError(f"{run}: no snapshots; training.snapshots of its recipe is empty")
    known = {folder.name: read_metadata(folder) for folder in folders}
    found = {name: Snapshot(m["step"], m["spent_s"]) for name, m in known.items()}
    return dict(sorted(found.items(), key=lambda item: item[1].step))
