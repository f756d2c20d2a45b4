"""Reading answer files and checking them against the key of their test."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from vocoder.config import Config
from vocoder.errors import VocoderError
from vocoder.listening.key import Key, first_problem
from vocoder.reading import read_bytes

_Counts = dict[str, Annotated[int, Field(ge=0)]]


class MushraTrial(Config):
    """One graded trial.

    order: opaque names of the sounds from left to right; scores: from 0 to 100; plays: number of
        plays of each sound; seconds: time spent on the trial.
    """

    trial: str
    order: tuple[str, ...]
    scores: dict[str, Annotated[float, Field(ge=0, le=100)]]
    plays: _Counts
    seconds: float = Field(ge=0, allow_inf_nan=False)


class AbxTrial(Config):
    """One answered trial: the sounds A, B and X, and the answer, A or B."""

    trial: str
    a: str
    b: str
    x: str
    choice: str
    plays: _Counts
    seconds: float = Field(ge=0, allow_inf_nan=False)


class _Answers(Config):
    format: Literal["vocoder-listening-answers"]
    version: Literal[1]
    test: str
    participant: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)
    device: Literal["headphones", "loudspeakers"]
    experienced: bool
    seed: int = Field(ge=0)
    started: str
    finished: str
    comment: str


class MushraAnswers(_Answers):
    """Answers of one participant in a MUSHRA test; see `templates/session.js`."""

    kind: Literal["mushra"]
    trials: tuple[MushraTrial, ...]


class AbxAnswers(_Answers):
    """Answers of one participant in an ABX test."""

    kind: Literal["abx"]
    trials: tuple[AbxTrial, ...]


Answers = MushraAnswers | AbxAnswers
_parse = TypeAdapter(Annotated[Answers, Field(discriminator="kind")]).validate_json


def read_answers(paths: Sequence[Path], key: Key) -> tuple[list[Answers], list[str]]:
    """Read answer files; unusable files are skipped and reported.

    A file is rejected if it is unreadable, malformed or from another test, lacks a trial or a
    sound, or has an unknown one or a grade outside 0 to 100. Of two files with the same content,
    the second is rejected; of two different files by the same participant, both.

    Args:
        paths: files, and folders of .json files.
        key: of the test.

    Returns:
        The answers sorted by participant code, and the rejections, each beginning with its file.

    Raises:
        VocoderError: a path does not exist, or there are no files.
    """
    accepted: dict[Path, Answers] = {}
    refused: list[str] = []
    seen: dict[bytes, Path] = {}
    for path in _files(paths):
        try:
            content = read_bytes(path, VocoderError)
            answers = _parse(content, strict=True)
            _check(answers, key)
        except ValidationError as error:
            refused.append(f"{path}: no answers of a listening test ({first_problem(error)})")
        except VocoderError as error:
            refused.append(str(error) if str(path) in str(error) else f"{path}: {error}")
        else:
            if content in seen:
                refused.append(f"{path}: the same as {seen[content]}")
            else:
                seen[content] = path
                accepted[path] = answers
    by_participant: dict[str, list[Path]] = {}
    for path, answers in accepted.items():
        by_participant.setdefault(answers.participant, []).append(path)
    for participant, several in by_participant.items():
        for path in several if len(several) > 1 else ():
            other = next(one for one in several if one != path)
            refused.append(
                f"{path}: participant {participant} also answered in {other}; keep one of the two, "
                "or give one person another code"
            )
            del accepted[path]
    return sorted(accepted.values(), key=lambda answers: answers.participant), refused


def unheard_notes(answers: Sequence[Answers]) -> Iterator[str]:
    """A note for each participant who answered without playing the sounds.

    In MUSHRA each graded sound counts, in ABX X of each trial.
    """
    for one in answers:
        plays = [
            trial.plays.get(name, 0)
            for trial in one.trials
            for name in (trial.scores if isinstance(trial, MushraTrial) else ("x",))
        ]
        if unheard := plays.count(0):
            yield (
                f"{one.participant} answered {unheard} of {len(plays)} sounds without playing "
                "them: leave this file out, unless the plays were lost"
            )


def _files(paths: Iterable[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(sorted(path.glob("*.json"))))
        elif path.exists():
            found[path] = None
        else:
            raise VocoderError(f"{path}: does not exist; check the path")
    if not found:
        raise VocoderError(f"{', '.join(map(str, paths))}: no answer file (.json)")
    return list(found)


def _check(answers: Answers, key: Key) -> None:
    """Raise VocoderError if answers do not belong to the key, or are incomplete."""
    if (answers.kind, answers.test) != (key.kind, key.test):
        raise VocoderError(
            f"answers of another test ({answers.kind} {answers.test}, "
            f"the key is of {key.kind} {key.test})"
        )
    count = Counter(trial.trial for trial in answers.trials)
    if unknown := count.keys() - key.trials.keys():
        raise VocoderError(f"trial {min(unknown)} is not in the key")
    for name, trial in key.trials.items():
        if count[name] != key.repeats:
            raise VocoderError(
                f"trial {name} ({trial.utterance}) is answered {count[name]} times "
                f"instead of {key.repeats}"
            )
    for answered in answers.trials:
        sounds = key.trials[answered.trial].stimuli.keys()
        if isinstance(answered, MushraTrial):
            _check_mushra(answered, sounds)
        else:
            _check_abx(answered, sounds)


def _check_mushra(answered: MushraTrial, sounds: Iterable[str]) -> None:
    if answered.scores.keys() != set(sounds):
        different = min(answered.scores.keys() ^ set(sounds))
        what = "is not in the key" if different in answered.scores else "has no grade"
        raise VocoderError(f"trial {answered.trial}: sound {different} {what}")
    if sorted(answered.order) != sorted(sounds):
        raise VocoderError(f"trial {answered.trial}: the order does not name each sound once")


def _check_abx(answered: AbxTrial, sounds: Iterable[str]) -> None:
    if {answered.a, answered.b} != set(sounds):
        raise VocoderError(f"trial {answered.trial}: A and B are not the two sounds of the key")
    for role in ("x", "choice"):
        if getattr(answered, role) not in sounds:
            raise VocoderError(f"trial {answered.trial}: {role} is neither A nor B")
