"""Build the pages of listening tests from folders of audio."""

import hashlib
import math
import random
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocoder.data.files import replacing_folder
from vocoder.errors import VocoderError
from vocoder.evaluation.alignment import (
    DEFAULT_MAX_DELAY_MS,
    DEFAULT_MAX_LENGTH_DIFFERENCE_S,
    check_max_delay,
    check_max_length_difference,
)
from vocoder.listening.anchors import LOW_ANCHOR_HZ, MID_ANCHOR_HZ, anchor
from vocoder.listening.key import (
    LOW_ANCHOR,
    MID_ANCHOR,
    OWN_CONDITIONS,
    REFERENCE,
    Key,
    Kind,
    Stimulus,
    TrialKey,
    write_key,
)
from vocoder.listening.page import write_page, write_sound
from vocoder.listening.stimuli import (
    LONGEST_S,
    Level,
    Material,
    Sounds,
    Waveform,
    without_clipping,
)

PAGE_FOLDER = "page"
KEY_NAME = "key.json"
MOST_SIGNALS = 12
"""Largest number of graded signals per trial: BS.1534-3, section 5.3."""
FEWEST_EXCERPTS = 5
EXCERPTS_PER_SYSTEM = 1.5
"""Recommended number of test items: BS.1534-3, section 7.1."""
INAUDIBLE_DB = -60.0
"""Level, relative to the reference, below which the part removed by the 7 kHz anchor is
inaudible."""

INSTRUCTIONS: dict[Kind, str] = {
    "mushra": """\
You will hear short recordings of speech, and versions of them that were processed in different \
ways. In each trial, play the reference and all numbered sounds, as often and in any order as you \
like, and grade the quality of each numbered sound in comparison with the reference. Any \
difference from the reference counts as an impairment.

The scale runs without steps from 0, the bottom of “bad”, to 100, the top of “excellent”. The \
reference itself is among the numbered sounds, so at least one of them must get 100. The worst \
sound of a trial need not be “bad”.""",
    "abx": """\
In each trial there are three sounds: A, B and X. X is either A or B. Play all three, as often \
and in any order as you like, and say which of the two X is. If you cannot hear it, guess.""",
}
TRAINING_INSTRUCTIONS = """\
First comes training, which is not counted: learn the controls there, and hear how far the sounds \
differ."""
ROOM_INSTRUCTIONS = """\
Sit in a quiet room with good headphones, and leave the volume as it is once the test has begun."""


@dataclass(frozen=True)
class Options:
    """Options of both kinds of listening test.

    Attributes:
        utterances: number, drawn at random (see `Material.select`), or names; by default 1.5 times
            the number of systems and at least 5, as BS.1534-3 recommends, or all if there are
            fewer.
        training: number of initial trials that are not evaluated.
        level: "loudness": every system's version gets the loudness of the recording (BS.1770);
            "none": levels are unchanged.
        max_delay_ms: longest constant delay removed, so that switching keeps the position; 0
            disables the removal.
        max_length_difference_s: largest length difference between a version and its recording, in
            seconds, after delay removal; all are cropped to the shortest.
        seed: of the selection and the opaque names; drawn if None. It is stored in the key.
        title: heading of the page.
        instructions: plain text shown before the test; None for the default of the test kind.
    """

    utterances: int | Sequence[str] | None = None
    training: int = 1
    level: Level = "loudness"
    max_delay_ms: float = DEFAULT_MAX_DELAY_MS
    max_length_difference_s: float = DEFAULT_MAX_LENGTH_DIFFERENCE_S
    seed: int | None = None
    title: str = "Listening test"
    instructions: str | None = None


def build_mushra(
    reference: Path, systems: dict[str, Path], output: Path, options: Options | None = None
) -> Key:
    """Write a MUSHRA test: the folder `page` for the assessors, and `key.json` for the analysis.

    A trial has an open reference and, under opaque names, the hidden reference, its anchors at
    3.5 and 7 kHz (see `anchor`) and every system's version. The browser randomises the order of
    trials and sounds for each participant.

    Args:
        reference: folder of the recordings.
        systems: folder of each system by name, at most nine.
        output: folder for page and key; neither may exist.
        options: see `Options`.

    Returns:
        The key; its `notes` report changes and deviations from the standard.

    Raises:
        VocoderError: too many systems, a reserved name, files that are missing or do not match, a
            sample rate below 16 kHz, or an existing output.

    Source: Recommendation ITU-R BS.1534-3 (2015).
    """
    if taken := set(OWN_CONDITIONS) & set(systems):
        raise VocoderError(f"--system {min(taken)}: the test has a condition of that name; rename")
    if len(systems) + len(OWN_CONDITIONS) > MOST_SIGNALS:
        raise VocoderError(
            f"{len(systems)} systems, the hidden reference and two anchors are more than the "
            f"{MOST_SIGNALS} signals that a trial may have; make several tests"
        )
    return _build("mushra", Material(reference, systems), output, options or Options(), 1)


def build_abx(
    reference: Path,
    systems: dict[str, Path],
    output: Path,
    options: Options | None = None,
    repeats: int = 4,
) -> Key:
    """Write an ABX test of two systems: the folder `page`, and `key.json` for the analysis.

    A trial has the sounds A and B, the two systems in random order, and X, one of them at random.

    Args:
        reference: folder of the recordings, to whose loudness both systems are scaled; to test a
            system against the recordings, add their folder as a system.
        systems: folder of each of the two systems by name.
        output: folder for page and key; neither may exist.
        options: see `Options`.
        repeats: trials per utterance.

    Returns:
        The key; its `notes` report changes.

    Raises:
        VocoderError: not two systems, files that are missing or do not match, or an existing
            output.
    """
    if len(systems) != 2:
        raise VocoderError(f"an ABX test compares two systems, not {len(systems)}")
    if repeats < 1:
        raise VocoderError(f"--repeats {repeats}: at least one trial of each utterance is needed")
    return _build("abx", Material(reference, systems), output, options or Options(), repeats)


def _build(kind: Kind, material: Material, output: Path, options: Options, repeats: int) -> Key:
    for path in (output / PAGE_FOLDER, output / KEY_NAME):
        if path.exists():
            raise VocoderError(
                f"{path}: there is a test already, whose answers need its key; "
                "choose another --output"
            )
    if options.training < 0:
        raise VocoderError(f"--training {options.training}: 0 or more trials")
    check_max_delay(options.max_delay_ms)
    check_max_length_difference(options.max_length_difference_s)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    wanted = options.utterances
    if wanted is None:
        wanted = max(min(_fewest(material), len(material.utterances)), 1)
    selection = material.select(wanted, options.training, seed)
    sample_rate = material.sample_rate([*selection.test, *selection.training])

    names = _opaque_names(seed)
    digest = hashlib.sha256(f"{kind} {seed} {options.title} {repeats}".encode())
    notes = _notes_on_selection(kind, material, len(selection.test))
    if selection.repeated:
        notes.append("training: no utterance is left over, so some of the test's are used")
    parts: list[dict[str, TrialKey]] = []
    with _removed_on_error(output / KEY_NAME), replacing_folder(output / PAGE_FOLDER) as page:
        for utterances in (selection.training, selection.test):
            parts.append({})
            for utterance in utterances:
                sounds = material.read(
                    utterance,
                    sample_rate,
                    options.level,
                    options.max_delay_ms,
                    options.max_length_difference_s,
                )
                notes += sounds.notes
                if kind == "mushra":
                    conditions, more = _mushra_conditions(utterance, sounds, sample_rate)
                    notes += more
                else:
                    conditions = sounds.systems
                trial = _write_trial(page, kind, utterance, conditions, sounds, names, digest)
                parts[-1][next(names)] = trial
        key = Key(
            kind=kind,
            test=digest.hexdigest()[:12],
            title=options.title,
            seed=seed,
            sample_rate=sample_rate,
            level=options.level,
            repeats=repeats,
            reference=str(material.reference),
            systems={name: str(folder) for name, folder in material.systems.items()},
            notes=tuple(dict.fromkeys(notes)),
            training=parts[0],
            trials=parts[1],
        )
        write_page(page, key, options.instructions or _instructions(key))
        # The key is written before the page, so that no answers exist without a key.
        write_key(output / KEY_NAME, key)
    return key


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    """Remove a file that did not exist before where the block raises."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _instructions(key: Key) -> str:
    training = [TRAINING_INSTRUCTIONS] if key.training else []
    return "\n\n".join([INSTRUCTIONS[key.kind], *training, ROOM_INSTRUCTIONS])


def _mushra_conditions(
    utterance: str, sounds: Sounds, sample_rate: int
) -> tuple[dict[str, Waveform], list[str]]:
    """The graded sounds by condition, and notes on requirements of the standard."""
    reference = sounds.reference
    mid = anchor(reference, sample_rate, MID_ANCHOR_HZ)
    conditions = {
        REFERENCE: reference,
        LOW_ANCHOR: anchor(reference, sample_rate, LOW_ANCHOR_HZ),
        MID_ANCHOR: mid,
        **sounds.systems,
    }
    notes = []
    duration_s = len(reference) / sample_rate
    if duration_s > LONGEST_S:
        notes.append(f"{utterance}: {duration_s:.1f} s; the standard advises {LONGEST_S:g} at most")
    taken_away = np.sum((reference - mid) ** 2) / max(np.sum(reference**2), np.finfo(float).tiny)
    if taken_away < 10 ** (INAUDIBLE_DB / 10):
        notes.append(f"{utterance}: holds next to nothing above 7 kHz, so the 7 kHz anchor sounds "
                     "like the reference")  # fmt: skip
    return conditions, notes


def _write_trial(
    page: Path,
    kind: Kind,
    utterance: str,
    conditions: dict[str, Waveform],
    sounds: Sounds,
    names: Iterator[str],
    digest: "hashlib._Hash",
) -> TrialKey:
    """Write the sounds of a trial under opaque names; return the assignment."""
    conditions, gain_db = without_clipping(conditions)
    stimuli = {}
    for condition, waveform in conditions.items():
        name = next(names)
        digest.update(name.encode() + write_sound(page, name, waveform))
        own_gain_db = sounds.gains_db.get(condition, 0.0)
        stimuli[name] = Stimulus(condition=condition, gain_db=round(own_gain_db + gain_db, 3))
    open_reference = None
    if kind == "mushra":
        # A separate file: the page must not reveal the hidden reference.
        open_reference = next(names)
        write_sound(page, open_reference, conditions[REFERENCE])
    return TrialKey(utterance=utterance, open_reference=open_reference, stimuli=stimuli)


def _opaque_names(seed: int) -> Iterator[str]:
    """Distinct random names, reproducible by the seed."""
    draw = random.Random(f"names {seed}")
    seen = set()
    while True:
        name = f"{draw.getrandbits(48):012x}"
        if name not in seen:
            seen.add(name)
            yield name


def _fewest(material: Material) -> int:
    return max(FEWEST_EXCERPTS, math.ceil(EXCERPTS_PER_SYSTEM * len(material.systems)))


def _notes_on_selection(kind: Kind, material: Material, utterances: int) -> list[str]:
    if kind == "mushra" and utterances < _fewest(material):
        return [
            f"{utterances} utterances for {len(material.systems)} systems: the standard advises "
            f"1.5 times as many utterances as systems, and {FEWEST_EXCERPTS} at least"
        ]
    return []
