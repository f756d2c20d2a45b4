"""How often does a mel draw a warning: of recordings, and in conventions that are not its spec's?

python -m studies.mel_plausibility.study --corpus FOLDER [--files 240]
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from studies.mel_plausibility.conventions import RECORDED, WRONG, distinct_specs, smoothed
from studies.scripts import renew_results, run, study_parser, table
from vocoder.data.audio import Audio, find_audio, read_audio, resample
from vocoder.features.mel import MelSpec
from vocoder.features.mel_plausibility import (
    LevelStatistics,
    implausibility,
    level_statistics,
    likely_convention,
)

SECONDS, RATE = 4, 24000
EXTREMES = {
    "loudness, dB, most": ("loudness_db", max),
    "mean, dB, most": ("mean_db", max),
    "spread, dB, least": ("spread_db", min),
    "spread, dB, most": ("spread_db", max),
    "spread and movement, dB, least": ("narrowness", min),
    "roughness, dB, least": ("roughness_db", min),
    "asymmetry, least": ("asymmetry", min),
}
SAID = {
    "natural logarithm": "natural logarithm of amp",
    "decimal logarithm": "decimal logarithm of",
    "decibels": "looks like decibels",
    "powers for amplitudes, or the reverse": "",
    "mean 0, variance 1 of all bins": "unit variance",
    "mean 0, variance 1 of each bin": "unit variance",
    "waveform of 16-bit integers": "16-bit",
    "no logarithm": "without a logarithm",
    "-100 to 20 dB as 0 to 1": "0 to 1",
    "transposed": "transpose it",
}
"""What a message names a convention by."""


def main() -> None:
    """Measure all, then write RESULTS.md."""
    parser = study_parser(__doc__, Path(__file__).parent, files=240)
    options = parser.parse_args()
    torch.set_num_threads(1)
    specs = distinct_specs()
    paths = find_audio([options.corpus])
    paths = paths[:: max(len(paths) // options.files, 1)][: options.files]
    warned: dict[tuple[str, str], list[bool]] = defaultdict(list)
    named: dict[tuple[str, str], list[bool]] = defaultdict(list)
    found: dict[str, list[LevelStatistics]] = defaultdict(list)
    for index, path in enumerate(paths):
        # Each recording in one spec, in turn: the mels take nearly all of the time.
        name, spec = list(specs.items())[index % len(specs)]
        for case, mel in cases(read_audio(path, RATE), spec):
            statistics = level_statistics(spec.log_amplitude(mel), spec)
            problem = implausibility(statistics, mel.shape[2], mel.shape[2] == spec.n_mels)
            warned[case, name].append(problem is not None)
            found[case].append(statistics)
            if case in WRONG and problem is not None:
                said = SAID[case] or f"of {'powers' if spec.power == 1 else 'amplitudes'}"
                named[case, name].append(said in likely_convention(mel, spec))
    recorded = [*RECORDED, "smoothed over five frames"]
    blocks = {
        "size": f"{len(paths)} recordings, each in one of {len(specs)} specs.",
        "recordings": share_table(warned, recorded, list(specs)),
        "extremes": extremes_table(found, recorded),
        "conventions": share_table(warned, list(WRONG), list(specs)),
        "names": share_table(named, list(WRONG), list(specs)),
    }
    renew_results(options.results, blocks)


def cases(audio: Audio, spec: MelSpec) -> Iterator[tuple[str, Tensor]]:
    """Mels of a recording's first seconds by the name of the case, at the spec's rate."""
    x = audio.waveform[None, : SECONDS * RATE]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for case, change in RECORDED.items():
        yield case, spec.mel(at_rate(change(x, noise), spec.sample_rate))
    here = at_rate(x, spec.sample_rate)
    yield "smoothed over five frames", smoothed(spec.mel(here))
    for case, wrong in WRONG.items():
        mel = wrong(here, spec)
        if mel is not None:
            yield case, mel


def at_rate(x: Tensor, sample_rate: int) -> Tensor:
    """A waveform (1, samples) at 24 kHz, at another rate."""
    if sample_rate == RATE:
        return x
    return resample(Audio(x[0], RATE), sample_rate).waveform[None]


def share_table(
    outcomes: dict[tuple[str, str], list[bool]], cases: list[str], specs: list[str]
) -> str:
    """Share of mels per case and spec, %; the numbers of all specs together in the last column."""
    rows = [["", *(f"`{spec}`" if "," not in spec else spec for spec in specs), "all"]]
    for case in cases:
        everything = [value for spec in specs for value in outcomes.get((case, spec), [])]
        counts = Counter(everything)
        cells = [_percent(outcomes.get((case, spec), [])) for spec in specs]
        rows.append([case, *cells, f"{counts[True]} of {len(everything)}"])
    return table(rows)


def extremes_table(found: dict[str, list[LevelStatistics]], cases: list[str]) -> str:
    """Extremes of the statistics over all recordings and specs."""
    rows = [["", *EXTREMES]]
    for case in cases:
        statistics = found[case]
        cells = [
            f"{extreme(_number(entry, field) for entry in statistics):.1f}"
            for field, extreme in EXTREMES.values()
        ]
        rows.append([case, *cells])
    return table(rows)


def _number(statistics: LevelStatistics, field: str) -> float:
    if field == "narrowness":
        return statistics.spread_db + statistics.movement_db
    return float(getattr(statistics, field))


def _percent(outcomes: list[bool]) -> str:
    return f"{100 * sum(outcomes) / len(outcomes):.0f}" if outcomes else ""


if __name__ == "__main__":
    run(main)
