"""The test utterances through every system, and their scores."""

from collections.abc import Sequence
from pathlib import Path

from egs.comparison.commands import evaluate, resynthesise
from egs.comparison.systems import CLASSICAL, RECORDING, Layout, System
from vocoder.errors import VocoderError

METRICS = (
    "pesq", "estoi", "visqol", "mstft", "mel_distance", "periodicity_tiny", "vuv_f1_tiny",
    "voicing_f1", "f0_rmse_cents", "f0_fine_rmse_cents", "dnsmos", "dnsmos_p808", "distillmos",
)  # fmt: skip


def resynthesise_test(systems: Sequence[System], layout: Layout, reference: Path) -> list[str]:
    """Every complete run of these systems, and the classical vocoders; what is there stays.

    Returns:
        What failed, a line each; it stops nothing else.
    """
    pairs: list[tuple[str | Path, Path]] = [
        (layout.training(system.name, seed), layout.test_audio(system.name, seed))
        for system in systems
        for seed in layout.seeds(system.name)
    ]
    pairs += [(name, layout.classical_audio(name)) for name in CLASSICAL]
    problems = []
    for model, audio in pairs:
        try:
            resynthesise(model, reference, audio)
        except VocoderError as error:
            problems.append(str(error))
    return problems


def evaluate_test(
    systems: Sequence[System],
    layout: Layout,
    reference: Path,
    metrics: Sequence[str],
    jobs: int,
) -> None:
    """One evaluation of all systems, seed 0 of each; another of those that have several seeds.

    Both compare every pair. The systems are all that were resynthesised, not only those that
    this call was asked for, so that the table is always of everything there is.
    """
    folders = {system.label: layout.test_audio(system.name, 0) for system in systems}
    folders |= {label: layout.classical_audio(name) for name, label in CLASSICAL.items()}
    present = {label: folder for label, folder in folders.items() if folder.exists()}
    evaluate(reference, {RECORDING: reference, **present}, layout.test_scores, metrics, jobs)
    repeated = {}
    for system in systems:
        seeds = [s for s in layout.seeds(system.name) if layout.test_audio(system.name, s).exists()]
        if len(seeds) > 1:
            repeated |= {
                seed_label(system, seed): layout.test_audio(system.name, seed) for seed in seeds
            }
    if repeated:
        evaluate(reference, repeated, layout.seed_scores, metrics, jobs)


def seed_label(system: System, seed: int) -> str:
    """What the second evaluation calls a run."""
    return f"{system.label}, seed {seed}"
