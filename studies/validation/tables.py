"""Write RESULTS.md from the scores of the ladders: claims with verdicts, numbers, means.

python -m studies.validation.tables --audio DIR --scores DIR --output RESULTS.md
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from studies.scripts import run, table
from studies.validation.checks import CHECKS, Outcome, run_check
from studies.validation.claims import (
    CLAIMS,
    FAILING,
    LEAST_ORDERED,
    LEAST_TAU,
    Claim,
    Claims,
    Verdict,
    judge,
)
from studies.validation.ladders import LADDERS, LEVEL_DBFS, RECORDING
from studies.validation.score import BASE
from studies.validation.scores import Scores, read_scores
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.pairs import files_by_utterance
from vocoder.evaluation.registry import METRICS

AllScores = Mapping[tuple[str, str], Scores]
Verdicts = dict[tuple[str, str], Verdict]


def render(scores: AllScores, audio: Path, command: str) -> str:
    """The whole file."""
    verdicts = judge_all(scores)
    outcomes = run_checks(scores, audio)
    parts = [
        "# Results\n",
        _introduction(scores, verdicts, outcomes, audio, command),
        "## Claims\n",
        _legend(),
        _claims_table(verdicts),
        _reasons(scores),
        "## Claims that fail\n",
        _failures(verdicts),
        "## Numbers that theory gives\n",
        _outcomes_table(outcomes),
        "## Means\n",
        "Over the utterances, undegraded signal first, then from mild to severe.\n",
        *(_means_table(ladder, scores) for ladder in LADDERS),
    ]
    return "\n".join(parts)


def judge_all(scores: AllScores) -> Verdicts:
    """A verdict on every scored metric and ladder; metrics without declared claims have none."""
    verdicts = {}
    for (metric, ladder), found in scores.items():
        claims = claims_of(metric)
        verdicts[metric, ladder] = judge(
            list(found.values.values()),
            METRICS[metric].better,
            claims.by_ladder[ladder],
            claims.tolerance,
        )
    return verdicts


def claims_of(metric: str) -> Claims:
    """The declared claims; empty for an undeclared metric."""
    nothing = Claims(dict.fromkeys(LADDERS, Claim.NONE), 0.0, "no claims declared yet")
    return CLAIMS.get(metric, nothing)


def _introduction(
    scores: AllScores, verdicts: Verdicts, outcomes: Sequence[Outcome], audio: Path, command: str
) -> str:
    judged = [verdict for verdict in verdicts.values() if verdict.holds is not None]
    names = list(files_by_utterance(audio / RECORDING))
    few = min(len(found.values) for found in scores.values())
    return (
        f"Made by `{command}` from {len(names)} test recordings: {', '.join(names)}. Slow metrics "
        f"got {few} of them. Every rung was scored as `vocoder evaluate` scores folders, against "
        f"the recording at {LEVEL_DBFS:g} dBFS.\n\n"
        f"**{sum(v.holds is True for v in judged)} of {len(judged)} claims hold; "
        f"{sum(o.holds for o in outcomes)} of {len(outcomes)} numbers are met.** What fails is "
        "listed below, with what the metric must not be used for.\n"
    )


def _legend() -> str:
    return (
        "`+` orders the ladder: mean Kendall τ between severity and score at least "
        f"{LEAST_TAU:g}, and at least {100 * LEAST_ORDERED:g} % of the utterances have the whole "
        "ladder, undegraded signal included, strictly in the right order. `=` does not see it: no "
        "score of any utterance changes by more than the tolerance. Without a sign nothing is "
        "claimed. In the cells: τ and the share of utterances in order, or the largest change; "
        "empty: not scored. **Bold with a cross: the claim fails.**\n"
    )


def _claims_table(verdicts: Verdicts) -> str:
    metrics = _metrics(verdicts)
    rows = [["metric", *(ladder.title for ladder in LADDERS.values())]]
    for metric in metrics:
        cells = [_cell(verdicts.get((metric, ladder))) for ladder in LADDERS]
        rows.append([METRICS[metric].label, *cells])
    return table(rows)


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    if verdict.claim is Claim.BLIND:
        text = f"= {_number(verdict.change)}"
    else:
        sign = "+ " if verdict.claim is Claim.ORDERS else ""
        text = f"{sign}{verdict.tau:.2f}, {100 * verdict.ordered:.0f} %"
        if verdict.utterances == 0:
            text = f"{sign}undefined"
    return f"**✗ {text}**" if verdict.holds is False else text


def _reasons(scores: AllScores) -> str:
    lines = []
    for metric in _metrics(scores):
        claims = claims_of(metric)
        blind = Claim.BLIND in claims.by_ladder.values()
        tolerance = f"; tolerance of =: {claims.tolerance:g}" if blind else ""
        lines.append(f"- {METRICS[metric].label}: {claims.reason}{tolerance}.\n")
    return "".join(lines)


def _failures(verdicts: Verdicts) -> str:
    rows = [[
        "metric", "ladder", "claim", "τ", "ρ", "in order", "largest change", "weakest rung",
        "what follows",
    ]]  # fmt: skip
    for (metric, ladder), v in verdicts.items():
        if v.holds is not False:
            continue
        one = LADDERS[ladder]
        rungs = [BASE, *(one.label(rung) for rung in one.rungs)]
        weakest = ""
        if v.claim is Claim.ORDERS and v.utterances:
            weakest = (
                f"{rungs[v.weakest]} not worse than "
                f"{rungs[v.weakest - 1]} in {100 * v.weakest_share:.0f} %"
            )
        undefined = f", {v.undefined} undefined" if v.undefined else ""
        rows.append([
            METRICS[metric].label,
            LADDERS[ladder].title,
            f"{v.claim}",
            _number(v.tau),
            _number(v.rho),
            f"{100 * v.ordered:.0f} %{undefined}" if v.utterances else "undefined",
            _number(v.change),
            weakest,
            FAILING.get((metric, ladder), "**new**"),
        ])  # fmt: skip
    return table(rows) if len(rows) > 1 else "None.\n"


def surprises(verdicts: Verdicts, outcomes: Sequence[Outcome] = ()) -> list[str]:
    """Unexpected failures, and known failures that hold, one line each."""
    lines = []
    for (metric, ladder), verdict in verdicts.items():
        known = (metric, ladder) in FAILING
        if verdict.holds is False and not known:
            lines.append(f"{metric} on {ladder}: the claim fails; look why, then add it to FAILING")
        if verdict.holds is True and known:
            lines.append(f"{metric} on {ladder}: in FAILING, but the claim holds; take it out")
    for outcome in outcomes:
        check = outcome.check
        if outcome.holds == bool(check.missed):
            what = "met; take out `missed`" if outcome.holds else "missed; look why, then say it"
            lines.append(f"{check.metric} on {check.ladder}: the number is {what}")
    return lines


def run_checks(scores: AllScores, audio: Path) -> list[Outcome]:
    """The outcome of every check whose metric was scored."""
    outcomes = (run_check(check, scores, audio) for check in CHECKS)
    return [outcome for outcome in outcomes if outcome is not None]


def _outcomes_table(outcomes: Sequence[Outcome]) -> str:
    rows = [[
        "metric", "ladder", "must be", "tolerance", "judged", "farthest off", "holds",
        "what follows",
    ]]  # fmt: skip
    for outcome in outcomes:
        check = outcome.check
        ladder = LADDERS[check.ladder]
        rungs = ladder.rungs if check.rungs is None else check.rungs
        tolerance = f"{check.absolute:g}"
        if check.relative:
            tolerance += f" or {100 * check.relative:g} %"
        judged = f"{'median' if check.typical else 'every'} utterance, {len(rungs)} rungs"
        if outcome.undefined:
            judged += f", {outcome.undefined} undefined"
        rows.append([
            METRICS[check.metric].label,
            ladder.title,
            check.why,
            tolerance,
            judged,
            f"{_number(outcome.worst)} at {ladder.label(outcome.worst_rung)}",
            "yes" if outcome.holds else "**✗ no**",
            "" if outcome.holds else check.missed or "**new**",
        ])  # fmt: skip
    return table(rows)


def _means_table(ladder: str, scores: AllScores) -> str:
    one = LADDERS[ladder]
    rows = [[one.title, BASE, *(one.label(rung) for rung in one.rungs)]]
    for metric in _metrics(scores):
        found = scores.get((metric, ladder))
        if found is not None:
            decimals = METRICS[metric].decimals
            cells = ["–" if m is None else f"{m:.{decimals}f}" for m in found.means()]
            rows.append([METRICS[metric].label, *cells])
    return table(rows) if len(rows) > 1 else ""


def _metrics(keys: Mapping[tuple[str, str], object]) -> list[str]:
    """The metrics that have been scored, in the registry's order."""
    scored = {metric for metric, _ in keys}
    return [metric for metric in METRICS if metric in scored]


def _number(value: float) -> str:
    """Three significant digits, without an exponent if that is short."""
    if math.isnan(value):
        return "–"
    return f"{value:.3g}"


def main() -> None:
    """Write the file and print the number of claims that hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True, help="what ladders.py made")
    parser.add_argument("--scores", type=Path, required=True, help="what score.py made")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    scores = read_scores(options.scores)
    text = render(scores, options.audio, "studies/validation/run.sh")
    write_text(options.output, text)
    print(next(line for line in text.splitlines() if line.startswith("**")))
    print(options.output)
    if lines := surprises(judge_all(scores), run_checks(scores, options.audio)):
        raise VocoderError("; ".join(lines))


if __name__ == "__main__":
    run(main)
