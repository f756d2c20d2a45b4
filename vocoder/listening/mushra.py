"""Analysis of a MUSHRA test: post-screening, means, intervals and comparisons."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from vocoder.config import Config
from vocoder.errors import VocoderError
from vocoder.evaluation.comparison import METHOD, Comparison, compare_systems
from vocoder.evaluation.metric import Metric
from vocoder.evaluation.registry import Column
from vocoder.evaluation.statistics import crossed_bootstrap, t_interval
from vocoder.listening.answers import MushraAnswers, unheard_notes
from vocoder.listening.key import LOW_ANCHOR, MID_ANCHOR, REFERENCE, Key
from vocoder.listening.screening import (
    ALLOWED,
    GRADE,
    WAIVED,
    Screening,
    outliers,
    quartiles,
    screen,
)

CONVENTION = (
    "mean with the 95 % interval of Student's t over the assessors' means, and with that of a "
    "bootstrap over assessors and utterances; median and quartiles over all grades"
)
CROWDED = 80.0
"""If most conditions have a mean above it, the standard considers the test doubtful: section 2."""


COMPARISON = f"pairs of mean grades, one of each assessor (n): {METHOD}"


def _not_measured(*_: object) -> object:
    raise VocoderError("grades come from listeners and cannot be measured")


GRADE_COLUMN = Column(
    "grade", Metric("MUSHRA grade", _not_measured, None, "higher", 1, CONVENTION), to_7k=False
)


@dataclass(frozen=True)
class Grades:
    """All grades of a panel: values[assessor, item, condition], 0 to 100."""

    assessors: tuple[str, ...]
    utterances: tuple[str, ...]
    conditions: tuple[str, ...]
    values: Float[np.ndarray, "assessors items conditions"]

    def of(self, condition: str) -> Float[np.ndarray, "assessors items"]:
        """The grades of one condition."""
        return self.values[:, :, self.conditions.index(condition)]

    def keep(self, which: Bool[np.ndarray, " assessors"]) -> "Grades":
        """The grades of a subset of the assessors."""
        kept = tuple(name for name, keep in zip(self.assessors, which, strict=True) if keep)
        return replace(self, assessors=kept, values=self.values[which])


class Spread(Config):
    """Statistics of one condition's grades.

    n: number of grades. mean; low, high: its 95 % t interval, None for a single assessor. median
        and quartiles as defined by the standard. outliers: number of grades more than 1.5
        interquartile ranges outside the quartiles; they are kept.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    median: float
    lower_quartile: float
    upper_quartile: float
    outliers: int


class ConditionScore(Spread):
    """All grades of a condition; `crossed_low` and `crossed_high`: bootstrap interval of the mean
    over assessors and utterances, None for a single one of either.
    """

    crossed_low: float | None
    crossed_high: float | None


class UtteranceScore(Spread):
    """The grades of a condition in one utterance, one per assessor."""

    utterance: str
    condition: str


class Assessor(Config):
    """One participant, and the result of post-screening; see `Screening`."""

    participant: str
    device: str
    experienced: bool
    minutes: float
    reference_low: float
    anchor_high: float
    kept: bool


class MushraSummary(Config):
    """The whole result of a MUSHRA test, as stored in `summary.json`."""

    kind: str = "mushra"
    test: str
    title: str
    systems: dict[str, str]
    convention: str
    screening: str
    assessors: tuple[Assessor, ...]
    conditions: dict[str, ConditionScore]
    utterances: tuple[UtteranceScore, ...]
    comparisons: tuple[Comparison, ...]
    comparison_method: str
    notes: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def kept(self) -> int:
        """Number of assessors kept."""
        return sum(assessor.kept for assessor in self.assessors)


def collect_grades(key: Key, answers: Sequence[MushraAnswers]) -> Grades:
    """The grades of checked answers, in the order of the key's systems and utterances.

    Raises VocoderError without answers.
    """
    if not answers:
        raise VocoderError("no answers to analyse")
    conditions = (REFERENCE, *key.systems, MID_ANCHOR, LOW_ANCHOR)
    trials = sorted(key.trials, key=lambda name: key.trials[name].utterance)
    sounds = [
        {stimulus.condition: name for name, stimulus in key.trials[trial].stimuli.items()}
        for trial in trials
    ]
    values = []
    for one in answers:
        scores = {answered.trial: answered.scores for answered in one.trials}
        values.append([
            [scores[trial][names[condition]] for condition in conditions]
            for trial, names in zip(trials, sounds, strict=True)
        ])  # fmt: skip
    return Grades(
        assessors=tuple(one.participant for one in answers),
        utterances=tuple(key.trials[trial].utterance for trial in trials),
        conditions=conditions,
        values=np.array(values, dtype=np.float64),
    )


def summarise_mushra(
    key: Key,
    answers: Sequence[MushraAnswers],
    refused: Sequence[str],
    screened: bool = True,
    resamples: int = 2000,
    seed: int = 0,
) -> MushraSummary:
    """Post-screen the panel, and score the remaining assessors.

    Args:
        key: of the test.
        answers: checked answers, see `read_answers`.
        refused: rejected files, for the summary.
        screened: exclude the assessors rejected by post-screening.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        VocoderError: no answers, or post-screening excludes all.
    """
    everybody = collect_grades(key, answers)
    screening = screen(everybody.of(REFERENCE), everybody.of(MID_ANCHOR))
    kept = screening.kept if screened else np.ones(len(answers), dtype=bool)
    if not kept.any():
        raise VocoderError(
            f"post-screening excludes all of the {len(answers)} assessors; "
            "--no-screening shows their grades all the same"
        )
    grades = everybody.keep(kept)
    return MushraSummary(
        test=key.test,
        title=key.title,
        systems=key.systems,
        convention=f"{CONVENTION} ({resamples} resamples, seed {seed})",
        screening=_screening_rules(screened),
        assessors=tuple(_assessors(answers, screening, kept)),
        conditions={
            name: _condition(grades.of(name), resamples, seed) for name in grades.conditions
        },
        utterances=tuple(_utterances(grades)),
        comparisons=_comparisons(grades, [REFERENCE, *key.systems], resamples, seed),
        comparison_method=COMPARISON,
        notes=(*_notes(key, answers, grades, screening), *unheard_notes(answers)),
        refused=tuple(refused),
    )


def _condition(
    values: Float[np.ndarray, "assessors items"], resamples: int, seed: int
) -> ConditionScore:
    crossed = crossed_bootstrap(values, resamples=resamples, seed=seed) or (None, None)
    # Grades of one assessor are dependent; the assessors' means over the items are independent.
    spread = _spread(values.ravel(), t_interval(values.mean(axis=1)))
    marked = sum(int(outliers(item).sum()) for item in values.T)
    return ConditionScore(
        **(spread | {"outliers": marked}), crossed_low=crossed[0], crossed_high=crossed[1]
    )


def _utterances(grades: Grades) -> Iterable[UtteranceScore]:
    for item, utterance in enumerate(grades.utterances):
        for name in grades.conditions:
            values = grades.of(name)[:, item]
            spread = _spread(values, t_interval(values))
            yield UtteranceScore(utterance=utterance, condition=name, **spread)


def _comparisons(
    grades: Grades, names: Sequence[str], resamples: int, seed: int
) -> tuple[Comparison, ...]:
    """All pairs of conditions, by the assessors' means; empty for a single assessor."""
    if len(grades.assessors) < 2:
        return ()
    means = {
        name: {
            assessor: {GRADE_COLUMN.name: float(mean)}
            for assessor, mean in zip(grades.assessors, grades.of(name).mean(axis=1), strict=True)
        }
        for name in names
    }
    return compare_systems(means, [GRADE_COLUMN], resamples, seed)


def _spread(values: Float[np.ndarray, " grades"], interval: tuple[float, float] | None) -> dict:
    lower, median, upper = quartiles(values)
    low, high = interval or (None, None)
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "low": low,
        "high": high,
        "median": median,
        "lower_quartile": lower,
        "upper_quartile": upper,
        "outliers": int(outliers(values).sum()),
    }


def _assessors(
    answers: Sequence[MushraAnswers], screening: Screening, kept: Bool[np.ndarray, " assessors"]
) -> Iterable[Assessor]:
    for i, one in enumerate(answers):
        yield Assessor(
            participant=one.participant,
            device=one.device,
            experienced=one.experienced,
            minutes=round(sum(trial.seconds for trial in one.trials) / 60, 1),
            reference_low=float(screening.reference_low[i]),
            anchor_high=float(screening.anchor_high[i]),
            kept=bool(kept[i]),
        )


def _screening_rules(screened: bool) -> str:
    rules = (
        f"BS.1534-3, section 4.1.2: excludes who grades the hidden reference below {GRADE:g}, or "
        f"the 7 kHz anchor above {GRADE:g}, for more than {100 * ALLOWED:g} % of the utterances "
        f"(in the second rule without those where more than {100 * WAIVED:g} % of the assessors "
        "do so)"
    )
    return rules if screened else f"none was applied; whom it would exclude is listed. {rules}"


def _notes(
    key: Key, answers: Sequence[MushraAnswers], grades: Grades, screening: Screening
) -> Iterable[str]:
    """Deviations from the standard, and its mandatory remarks."""
    waived = [
        name for name, waive in zip(grades.utterances, screening.waived, strict=True) if waive
    ]
    if waived:
        yield (
            f"the 7 kHz anchor was graded above {GRADE:g} by more than {100 * WAIVED:g} % of the "
            f"assessors, and the rule is waived, in: {', '.join(waived)}"
        )
    if len({one.device for one in answers}) > 1:
        yield (
            "some listened with headphones and some with loudspeakers: the standard asks for one "
            "kind in a test"
        )
    new = sum(not one.experienced for one in answers)
    if new:
        yield (
            f"{new} of {len(answers)} participants had never taken part in a listening test: the "
            "standard counts experienced assessors only"
        )
    means = [float(grades.of(name).mean()) for name in key.systems]
    crowded = sum(mean > CROWDED for mean in means)
    if crowded > len(means) / 2:
        yield (
            f"{crowded} of {len(means)} systems have a mean above {CROWDED:g}: where most do, the "
            "standard considers the test doubtful, and recommends BS.1116"
        )
