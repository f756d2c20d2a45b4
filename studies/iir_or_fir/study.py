"""All parts of the study, their tables and pictures.

python -m studies.iir_or_fir.study --corpus data/festvox_ru [--frames 48] [--repeats 5]
"""

from pathlib import Path

import torch

from studies.envelopes import read_envelopes
from studies.iir_or_fir import cost, departure, fitting, training
from studies.iir_or_fir.all_pole import AllPole
from studies.iir_or_fir.families import FAMILIES
from studies.iir_or_fir.family import BINS
from studies.iir_or_fir.formants import read_formants
from studies.iir_or_fir.pictures import draw_departure, draw_families
from studies.iir_or_fir.tables import (
    alone_table,
    departure_table,
    fits_table,
    formants_table,
    targets_table,
    training_table,
    whole_table,
)
from studies.scripts import renew_results, run, study_parser
from vocoder.data.files import replacing

FOLDER = Path(__file__).parent
VALID_FRAMES = 24


def main() -> None:
    """Measure everything, then write RESULTS.md and the pictures."""
    options = study_parser(__doc__, FOLDER, frames=48, repeats=5).parse_args()
    torch.set_num_threads(1)
    blocks = {
        **costs(options.repeats),
        **departures(options.corpus, options.results),
        **distances(options.corpus, options.results, options.frames),
        **trainings(options.corpus),
    }
    renew_results(options.results, blocks)


def costs(repeats: int) -> dict[str, str]:
    """Part B: time of one thread."""
    return {"whole": whole_table(cost.whole(repeats)), "alone": alone_table(cost.alone(repeats))}


def departures(corpus: Path, results: Path) -> dict[str, str]:
    """Part C: the same coefficient tracks sample-wise and frame-wise."""
    speech = departure.from_speech(corpus, departure.UTTERANCES, departure.SAMPLES)
    radii, speeds = departure.from_glides()
    rest = departure.from_rest()
    formants = read_formants(corpus, departure.UTTERANCES)
    with replacing(results / "departure.png") as path:
        draw_departure(path, speech, radii, speeds, rest)
    return {
        "formants": formants_table(formants),
        "speech": departure_table(speech, "hop (samples)"),
        "speech_distance": departure_table(speech, "hop (samples)", distance=True),
        "radii": departure_table(radii, "pole radius"),
        "speeds": departure_table(speeds, "speed (Hz/ms)"),
        "rest": departure_table(rest, "pole radius"),
    }


def distances(corpus: Path, results: Path, frames: int) -> dict[str, str]:
    """Part A: single envelopes."""
    valid = read_envelopes(corpus, "valid", VALID_FRAMES, BINS)
    test = read_envelopes(corpus, "test", frames, BINS)
    members = [family(size) for family in FAMILIES for size in family.sizes]
    fits = fitting.fit_all(members, valid, test)
    predicted = {order: fitting.predicted(test, order) for order in AllPole.sizes}
    with replacing(results / "families.png") as path:
        draw_families(path, fits)
    return {"fits": fits_table(fits, predicted), "targets": targets_table(fits)}


def trainings(corpus: Path) -> dict[str, str]:
    """Part A, training on audio."""
    valid = training.read_stretches(corpus, "valid", 1)
    test = training.read_stretches(corpus, "test", training.STRETCHES)
    found = training.train_all(valid, test, training.CONTESTANTS)
    return {"training": training_table(found)}


if __name__ == "__main__":
    run(main)
