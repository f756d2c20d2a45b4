"""What the universal weights were to reach, and what they reach: a table from scores that are kept.

    python -m studies.targets

renews the table of `egs/universal/TARGETS.md`. Published pages are those of `studies/published`,
newest scores; test speakers those of `egs/universal/utterances.csv`; other recordings those of
`egs/universal/other_sets.csv`. Intervals are 95 % bootstrap intervals over utterances.
"""

from collections.abc import Sequence
from typing import NamedTuple

from studies.conventions import FOLDER, METRICS, read_lines, scores_of
from studies.other_sets import PATH as OTHER_SETS
from studies.published.measure import latest, read_own_scores
from studies.scores import read_csv
from studies.scripts import replace_blocks, run, table
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import TABLE_NAME
from vocoder.evaluation.registry import METRICS as REGISTRY
from vocoder.evaluation.summary import mean_score

PAGE = FOLDER / "TARGETS.md"


class Aim(NamedTuple):
    """Recordings, the mel that is given, and the mean score to reach in each metric."""

    recordings: str
    source: str
    mel: str
    targets: dict[str, float]


PUBLISHED, TEST, OTHER = "published", "test", "other"
"""Sources of scores: a page of `studies/published`, our test speakers, other sets."""

AIMS = (
    Aim("periodwave_libritts", PUBLISHED, "vocos_24k",
        {"pesq": 4.1, "mstft": 0.71, "voicing_error": 0.019, "distillmos": 4.49}),
    Aim("waveflow_lj", PUBLISHED, "hifigan_22k", {"pesq": 4.0, "mstft": 0.76, "distillmos": 4.32}),
    Aim("hifigan_lj", PUBLISHED, "hifigan_22k", {"pesq": 3.85, "mstft": 0.82}),
    Aim("r9y9_icassp2020_lj", PUBLISHED, "vocos_24k",
        {"pesq": 4.05, "mstft": 0.76, "distillmos": 4.5}),
    Aim("fargan_ptdb", OTHER, "mel_16k_10ms", {"pesq": 3.6, "mstft": 0.82, "distillmos": 4.3}),
    Aim("libritts_test", TEST, "vocos_24k", {"pesq": 4.0}),
    Aim("libritts_test", TEST, "speecht5_16k", {"pesq": 3.35}),
    Aim("asterisk_it", OTHER, "speecht5_16k", {"pesq": 3.1}),
    Aim("asterisk_ru", OTHER, "speecht5_16k", {"pesq": 3.3}),
    Aim("festvox_ru", OTHER, "speecht5_16k", {"pesq": 3.55}),
)  # fmt: skip


def values(aim: Aim, metric: str) -> Sequence[float | None]:
    """Scores of the utterances.

    Raises:
        VocoderError: they are not in the repository.
    """
    found: Sequence[float | None] = ()
    if aim.source == PUBLISHED:
        for scores in latest(read_own_scores()):
            shipped = not scores.trial and scores.name.startswith("universal")
            if shipped and scores.mel_preset == aim.mel and aim.recordings in scores.pages:
                found = scores.pages[aim.recordings].common.values[metric]
    elif aim.source == TEST:
        found = scores_of(read_lines(FOLDER / TABLE_NAME), aim.mel, "universal", metric)
    else:
        wanted = (aim.recordings, aim.mel, "universal")
        found = [
            float(line[metric])
            for line in read_csv(OTHER_SETS)
            if (line["set"], line["mel"], line["system"]) == wanted
        ]
    if not found:
        raise VocoderError(f"no scores of {aim.recordings} from {aim.mel}: measure it first")
    return found


def verdict(mean: float, low: float, high: float, target: float, metric: str) -> str:
    """Whether a mean reaches the target, or its interval at least.

    >>> verdict(4.07, 4.0, 4.14, 4.1, "pesq"), verdict(0.7, 0.69, 0.71, 0.71, "mstft")
    ('within the interval', 'met')
    """
    sign = 1 if REGISTRY[metric].better == "higher" else -1
    if sign * (mean - target) >= 0:
        return "met"
    return "within the interval" if low <= target <= high else "missed"


def targets_table() -> str:
    """One line per set, mel and metric."""
    rows = [["recordings", "n", "mel", "metric", "target", "reached", ""]]
    for aim in AIMS:
        for metric, target in aim.targets.items():
            heading, decimals, factor = METRICS[metric]
            scores = values(aim, metric)
            score = mean_score(scores)
            mean, low, high = score.mean, score.low, score.high
            if mean is None or low is None or high is None:
                raise VocoderError(f"{aim.recordings} from {aim.mel}: {metric} needs two scores")
            shown = [f"{factor * value:.{decimals}f}" for value in (target, mean, low, high)]
            rows.append([
                aim.recordings, str(len(scores)), aim.mel, heading, shown[0],
                f"{shown[1]} [{shown[2]}, {shown[3]}]", verdict(mean, low, high, target, metric),
            ])  # fmt: skip
    return table(rows)


def main() -> None:
    """Renew the table."""
    write_text(PAGE, replace_blocks(PAGE, {"targets": targets_table()}))


if __name__ == "__main__":
    run(main)
