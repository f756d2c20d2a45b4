"""Denoise the test recordings by every system, score the output, write tables and picture.

python -m studies.denoising.study --corpus data/festvox_ru --others data/asterisk [--jobs 2]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import track

from studies.denoising import noises, tables
from studies.denoising.learned import Training, train
from studies.denoising.systems import System, contestants, resynthesise
from studies.scripts import renew_results, run, study_parser
from vocoder.data.audio import write_audio
from vocoder.errors import VocoderError
from vocoder.evaluation.backends import run_unordered
from vocoder.evaluation.cache import ScoreCache, default_cache
from vocoder.evaluation.pairs import Pair, Scoring, score_pair
from vocoder.loading import load
from vocoder.models.base import Vocoder

FOLDER = Path(__file__).parent
CHOOSING_SNRS_DB = (0, 10)
TRAINING_RECORDINGS, LONGEST_S = 200, 12.0
"""Number and length of the network's training recordings."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of validation and test recordings, and training length."""

    valid: int
    test: int
    steps: int


def main() -> None:
    """Train, select settings, denoise, score; then write RESULTS.md's tables and the picture."""
    parser = study_parser(__doc__, FOLDER, valid=3, test=8, steps=400, jobs=2)
    parser.add_argument("--others", type=Path, required=True, help="who speaks in the babble")
    parser.add_argument("--run", type=Path, default=Path("runs/studies/denoising"))
    options = parser.parse_args()
    sizes = Sizes(options.valid, options.test, options.steps)
    blocks, scores = study(
        options.corpus, options.others, options.run, sizes, options.jobs, default_cache()
    )
    renew_results(options.results, blocks)
    tables.draw(options.results / "snr.png", scores)


def study(
    corpus: Path, others: Path, folder: Path, sizes: Sizes, jobs: int, cache: ScoreCache | None
) -> tuple[dict[str, str], tables.Scores]:
    """The whole study: the tables of RESULTS.md by mark, and the scores."""
    model = load("source_filter_16k")
    pools = noises.read_pools(corpus, others, part=0)
    longer = noises.read_recordings(corpus, "train", TRAINING_RECORDINGS, LONGEST_S)
    denoiser = train(model.spec, Training(list(longer.values()), pools, sizes.steps))
    unheard = noises.read_pools(corpus, others, part=1)
    recordings = noises.read_recordings(corpus, "valid", sizes.valid)
    valid = noises.make_mixtures(recordings, unheard, CHOOSING_SNRS_DB, seed=1)
    systems, settings = contestants(model, denoiser, valid)
    recordings = noises.read_recordings(corpus, "test", sizes.test)
    test = noises.make_mixtures(recordings, unheard, noises.SNRS_DB, seed=2)
    pairs = write_outputs(folder, model, systems, test)
    scores = score(pairs, jobs, cache)
    blocks = {
        "settings": tables.settings_table(settings),
        "bounds": tables.bounds_table(scores),
        "stationary": tables.scores_table(scores, "stationary"),
        "babble": tables.scores_table(scores, "babble"),
        "differences": tables.differences_table(scores),
    }
    return blocks, scores


def write_outputs(
    folder: Path,
    model: Vocoder,
    systems: Mapping[str, System],
    mixtures: Sequence[noises.Mixture],
) -> list[Pair]:
    """Write the output of every system for every mixture, and of the recording with and without the
    model; returns the pairs to score."""
    pairs: dict[tuple[str, str], Pair] = {}

    def keep(system: str, name: str, waveform: torch.Tensor) -> None:
        path = folder / system / f"{name}.wav"
        write_audio(path, waveform, noises.RATE)
        reference = folder / tables.RECORDING / f"{name}.wav"
        pairs[system, name] = Pair(system, name, reference, path)

    for mixture in track(mixtures, "cleaning up"):
        name = mixture.name
        if (tables.RECORDING, name) not in pairs:
            keep(tables.RECORDING, name, mixture.clean)
            keep(tables.RESYNTHESISED, name, resynthesise(model, mixture.clean))
        for system, function in systems.items():
            place = tables.condition(system, mixture.kind, mixture.snr_db)
            keep(place, name, function(mixture.noisy))
    return list(pairs.values())


def score(pairs: Sequence[Pair], jobs: int, cache: ScoreCache | None) -> tables.Scores:
    """Scores by condition, recording and metric.

    Raises:
        VocoderError: an undefined score, with the reason.
    """
    # There are no delays here, and noise could be mistaken for one.
    scoring = Scoring(tuple(tables.METRICS), max_delay_ms=0.0, cache=cache)
    tasks = [(pair, scoring) for pair in pairs]
    scores: tables.Scores = {}
    rows = run_unordered(score_pair, tasks, jobs)
    for row in track(rows, "scoring", total=len(tasks)):
        found = {name: value for name, value in row.scores.items() if value is not None}
        if len(found) < len(tables.METRICS):
            raise VocoderError(f"{row.system}/{row.utterance}: {'; '.join(row.errors)}")
        scores.setdefault(row.system, {})[row.utterance] = found
    return scores


if __name__ == "__main__":
    run(main)
