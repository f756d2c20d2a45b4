"""Resynthesis and scores of the test utterances."""

from collections.abc import Sequence
from pathlib import Path

from studies.comparison.commands import evaluate, resynthesise
from studies.comparison.systems import RECORDING
from studies.scores import Scores, read_evaluation

METRICS = (
    "pesq", "estoi", "visqol", "mstft", "mel_distance", "periodicity_tiny", "vuv_f1_tiny",
    "voicing_f1", "f0_rmse_cents", "f0_fine_rmse_cents", "dnsmos", "dnsmos_p808", "distillmos",
)  # fmt: skip


def score_test(
    model: str | Path, folder: Path, corpus: Path, metrics: Sequence[str], jobs: int
) -> Scores:
    """Resynthesise the test utterances and score them; existing files are kept.

    Args:
        model: a run, the name of a classical vocoder, or the recording itself.
        folder: for audio and scores.
        corpus: folder with wavs/test.
        metrics: columns of the evaluation.
        jobs: worker processes of the evaluation.
    """
    reference = corpus / "wavs" / "test"
    audio = folder / "audio"
    if model == RECORDING:
        audio = reference
    else:
        resynthesise(model, reference, audio)
    evaluate(reference, {"system": audio}, folder / "scores", metrics, jobs)
    return read_evaluation(folder / "scores")["system"]
