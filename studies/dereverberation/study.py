"""The study: rooms, settings, contest, and the learned rooms on other utterances.

python -m studies.dereverberation.study --corpus data/festvox_ru [--utterances 4] [--jobs 2]
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from joblib import Parallel, delayed
from torch import Tensor

from studies.dereverberation import report
from studies.dereverberation.contest import (
    SPEECH,
    Chosen,
    Score,
    bounds,
    choose,
    contest,
    read_speech,
)
from studies.dereverberation.model import Fitted
from studies.dereverberation.rooms import (
    RATE,
    ROOMS,
    Room,
    response,
)
from studies.scripts import renew_results, run, study_parser
from vocoder.dsp.rooms.reverb import fft_convolve
from vocoder.metrics.mstft import mstft
from vocoder.metrics.spectral_distance import log_spectral_distance

FOLDER = Path(__file__).parent
TUNING = 2
"""Validation utterances for the selection of settings, in each of the three rooms."""


def main() -> None:
    """Select settings, run all systems, and write RESULTS.md and the picture."""
    options = study_parser(__doc__, FOLDER, utterances=4, jobs=2).parse_args()
    workers = Parallel(options.jobs, return_as="list", verbose=5)
    splits = ("valid", "test")
    made = workers(delayed(ring)(room, split) for split in splits for room in ROOMS)
    valid, test = made[: len(ROOMS)], made[len(ROOMS) :]
    speech = read_speech(options.corpus, "train", SPEECH)
    chosen = choose(read_speech(options.corpus, "valid", TUNING), valid, speech)
    print("chosen on validation utterances:", chosen)
    dry = read_speech(options.corpus, "test", options.utterances)
    outcomes = workers(delayed(compete)(dry, room, speech, chosen) for room in test)
    scores = [scores for scores, _ in outcomes]
    fitted = [fitted for _, fitted in outcomes]
    blocks = {
        "rooms": report.rooms_table(test),
        "settings": report.settings_table(chosen),
        "scores": report.scores_table(scores, bounds(dry)),
        "learned": report.learned_table(test, [_learned(f) for f in fitted]),
        "another": report.another_table(compare_rooms(dry, test, valid, fitted)),
    }
    renew_results(options.results, blocks)
    report.draw(options.results / "decays.png", scores, test, [_learned(f) for f in fitted])


def ring(room: Room, split: str) -> Tensor:
    """`rooms.response` on one thread."""
    torch.set_num_threads(1)
    return response(room, split)


def compete(
    dry: Tensor, room: Tensor, speech: Tensor, chosen: Chosen
) -> tuple[list[Score], Fitted]:
    """`contest.contest` on one thread."""
    torch.set_num_threads(1)
    return contest(dry, room, speech, chosen)


def _learned(fitted: Fitted) -> Tensor:
    """The learned responses (batch, taps), direct sound and tail."""
    return torch.nn.functional.pad(fitted.tail, (1, 0), value=1.0)


def compare_rooms(
    dry: Tensor, true: Sequence[Tensor], elsewhere: Sequence[Tensor], fitted: Sequence[Fitted]
) -> list[list[report.Likeness]]:
    """For each room, distances between another utterance in the true room and the same in: the room
    learned from one utterance (applied to the next), the room learned for another room, the true
    room with other positions, and no room."""
    found = []
    others = dry.roll(-1, 0)
    for i, room in enumerate(true):
        wet = fft_convolve(others, room)
        versions = {
            "no room": others,
            "learned in another room": fft_convolve(others, _learned(fitted[i - 1])),
            "learned in this room": fft_convolve(others, _learned(fitted[i])),
            "this room, places moved": fft_convolve(others, elsewhere[i]),
        }
        found.append([likeness(name, wet, version) for name, version in versions.items()])
    return found


def likeness(name: str, wet: Tensor, version: Tensor) -> report.Likeness:
    """Mean distances of signals in two rooms."""
    pairs = list(zip(wet, version, strict=True))
    return report.Likeness(
        name,
        [mstft(a, b, RATE) for a, b in pairs],
        [log_spectral_distance(a, b, RATE) for a, b in pairs],
    )


if __name__ == "__main__":
    run(main)
