"""What a change of the recipe is worth: short trainings that differ in one thing each (those with
discriminators in the whole stage).

    python -m studies.ablations.trained train --speech data/many_voices/manifest.jsonl
        --more data/festvox_ru/manifest.jsonl data/asterisk/manifest.jsonl
    python -m studies.ablations.trained tables

Every row starts from nothing and has as many steps, in float32, the same seed and the recipe
`recipes/source_filter/universal.yaml` but for the settings named here. Steps, not minutes, so that
rows trained on several machines compare; what they cost stands beside them. What a row found is one
small file in `studies/ablations/trained`, from which the tables of `docs/ablations.md` are built; a
row that has its file is not run again.
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import Field

import vocoder
from studies.ablations.speech import (
    METRIC_NAMES,
    Utterance,
    by_metric,
    copy_with,
    difference,
    read_utterances,
    scores_of,
    values_of,
)
from studies.comparison.commands import vocoder as command
from studies.scores import Scores, read_model, write_model
from studies.scripts import replace_blocks, run, table, today
from vocoder.config import Config
from vocoder.data.files import write_text
from vocoder.data.manifest import read_manifest, write_manifest
from vocoder.loading import find_checkpoint, read_metadata
from vocoder.models.source_filter import SourceFilter
from vocoder.training.recipe import load_recipe

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECIPE = ROOT / "recipes" / "source_filter" / "universal.yaml"
PAGE = ROOT / "docs" / "ablations.md"
OUTCOMES = HERE / "trained"
BASE = "universal recipe"
EARLIER = (
    'data.speeds=["7/8", "15/16", "1/1", "1/1", "1/1", "16/15", "8/7"]',
    "loss.fewer_passes=0",
)
"""What the recipe was like when the first rows were trained."""
DISCRIMINATORS = (
    "{start_step: 300, kind: hinge, weight: 0.1, feature_matching_weight: 0.2, crop_frames: 20, "
    "spectrogram: {n_ffts: [1024, 512, 256], channels: 16}, "
    "period: {periods: [2, 3, 5, 7, 11], channels: 8, max_channels: 64}}"
)

FRAME_DISCRIMINATORS = (
    "{start_step: 300, kind: relativistic, weight: 0.03, feature_matching_weight: 0.5, "
    "crop_frames: 20, learning_rate: 1.0e-3, spectrogram: null, period: null, "
    "frames: {n_ffts: [512, 256, 128], channels: 96}}"
)


class Use(NamedTuple):
    """How a trained vocoder is used: its mel, passes of the projection, cost of the low band's."""

    mel: str
    mel_projection: int
    low_band_projection: int


USES = {
    "with the low band": Use("vocos_24k", 4, 4),
    "one pass": Use("vocos_24k", 1, 0),
    "HiFi-GAN's mel": Use("hifigan_22k", 4, 4),
    "SpeechT5's mel": Use("speecht5_16k", 4, 4),
}


class Row(NamedTuple):
    """One training: what it asks about, and what differs from the base.

    ``speakers``: as many are trained on, none for all. ``uses``: in which it is scored.
    """

    about: str
    settings: tuple[str, ...] = ()
    speakers: int | None = None
    uses: tuple[str, ...] = ("with the low band", "one pass")


ROWS: dict[str, Row] = {
    BASE: Row("", uses=tuple(USES)),
    "another seed": Row("chance", ("training.seed=2",)),
    "a third seed": Row("chance", ("training.seed=3",)),
    "3 speakers": Row("voices", speakers=3),
    "50 speakers": Row("voices", speakers=50),
    "half the channels": Row("size", ("model.channels=128",)),
    "1.5 times the channels": Row("size", ("model.channels=384",)),
    "3 blocks": Row("size", ("model.blocks=3",)),
    "8 blocks": Row("size", ("model.blocks=8",)),
    "pitch predictor of 64 channels": Row("size", ("model.pitch.channels=64",)),
    "Vocos's mel alone": Row("mels", ("data.mels=null",)),
    "HiFi-GAN's mel alone": Row(
        "mels", ("mel=hifigan_22k", "data.mels=null"), uses=("HiFi-GAN's mel",)
    ),
    "SpeechT5's mel alone": Row(
        "mels", ("mel=speecht5_16k", "data.mels=null"), uses=("SpeechT5's mel",)
    ),
    "not through the projection": Row("projection", ("model.mel_projection=0",)),
    "through one pass": Row("projection", ("model.mel_projection=1",)),
    "fewer passes in half of the batches": Row(
        "projection",
        ("loss.fewer_passes=0.5",),
        uses=("with the low band", "one pass", "SpeechT5's mel"),
    ),
    "mel correction instead": Row(
        "projection", ("model.mel_projection=0", "model.mel_correction=true")
    ),
    "1 filter per frame": Row("filters", ("model.steps_per_frame=1",)),
    "4 filters per frame": Row("filters", ("model.steps_per_frame=4",)),
    "noise steady within a period": Row("filters", ("model.noise_modulation=false",)),
    "pulses at any time": Row("losses", ("loss.pulses_in_step=false",)),
    "short-time spectra alone": Row("losses", ("loss.spectral.mel_weight=0",)),
    "mel bands alone": Row("losses", ("loss.spectral.stft_weight=0",)),
    "windows of 512 to 2048": Row(
        "losses", ("loss.spectral.n_ffts=[2048, 1024, 512]", "loss.spectral.n_mels=[160, 80, 40]")
    ),
    "no change of speed or level": Row(
        "augmentation", ('data.speeds=["1/1"]', "data.gain_db=[0, 0]")
    ),
    "discriminators from step 300": Row("discriminators", (f"adversarial={DISCRIMINATORS}",)),
    "frame discriminators, relativistic, from step 300": Row(
        "discriminators", (f"adversarial={FRAME_DISCRIMINATORS}",)
    ),
}


class Outcome(Config):
    """What one row found.

    Fields:
        row: its name.
        settings: that differ from the recipe.
        speakers: that were trained on; none for all.
        steps: of training.
        minutes: of one CPU thread that they took.
        parameters: of the vocoder.
        commit: revision of the training code.
        finished: day of the scoring.
        scores: of the held-out speakers, by how the vocoder was used.
    """

    row: str
    settings: tuple[str, ...]
    speakers: int | None
    steps: int = Field(ge=1)
    minutes: float
    parameters: int
    commit: str
    finished: str
    scores: dict[str, Scores]


def outcome_path(row: str) -> Path:
    """File of a row.

    >>> outcome_path("Vocos's mel alone").name
    'vocos-s-mel-alone.json'
    """
    return OUTCOMES / f"{hyphenated(row)}.json"


def hyphenated(name: str) -> str:
    """Letters and digits of a name, lower case, with hyphens between its words."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def train_row(
    name: str, manifests: Sequence[Path], folder: Path, steps: int, utterances: list[Utterance]
) -> Outcome:
    """Train a row in a folder of its own and score it."""
    row = ROWS[name]
    output = folder / outcome_path(name).stem
    used = [str(path.resolve()) for path in manifests]
    if row.speakers is not None:
        used = [str(_fewer_speakers(manifests, row.speakers, output.with_suffix(".jsonl")))]
    settings = (
        f"data.manifests={used}", *EARLIER, f"training.steps={steps}",
        "training.budget_minutes=null", "training.precision=float32", "training.seed=1",
        "training.threads=1", "training.validate_every=null", *row.settings,
    )  # fmt: skip
    command(
        "train", RECIPE, "--output", output, *[part for one in settings for part in ("--set", one)]
    )
    checkpoint = find_checkpoint(output)
    metadata = read_metadata(checkpoint)
    model = vocoder.load(output)
    assert isinstance(model, SourceFilter)
    return Outcome(
        row=name,
        settings=row.settings,
        speakers=row.speakers,
        steps=metadata["step"],
        minutes=round(metadata["spent_s"] / 60, 2),
        parameters=sum(weight.numel() for weight in model.parameters()),
        commit=metadata["git_revision"],
        finished=today(),
        scores={use: _scores(model, utterances, USES[use]) for use in row.uses},
    )


def _fewer_speakers(manifests: Sequence[Path], speakers: int, path: Path) -> Path:
    """A manifest of some of the training speakers: those with the most speech first, the others
    evenly from all, and those that are held out."""
    held_out = set(load_recipe(RECIPE).data.held_out)
    entries = [
        entry.model_copy(update={"path": (manifest.parent / entry.path).resolve()})
        for manifest in manifests
        for entry in read_manifest(manifest)
    ]
    seconds: dict[str, float] = {}
    for entry in entries:
        if entry.split == "train" and entry.speaker not in held_out:
            seconds[entry.speaker] = seconds.get(entry.speaker, 0.0) + entry.duration_s
    first = sorted(seconds, key=lambda speaker: -seconds[speaker])[:3]
    others = sorted(set(seconds) - set(first))
    more = speakers - len(first)
    chosen = {*first, *(others[index * len(others) // max(more, 1)] for index in range(more))}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(path, [entry for entry in entries if entry.speaker in chosen | held_out])
    return path


def _scores(model: SourceFilter, utterances: list[Utterance], use: Use) -> Scores:
    served = model.for_mel(use.mel)
    speak = copy_with(
        served,
        mel_projection=use.mel_projection,
        low_band_projection=use.low_band_projection,
    )
    return by_metric(utterances, scores_of(utterances, served.sample_rate, speak))


def trained_table(outcomes: dict[str, Outcome], use: str) -> str:
    """Means of every row scored in a use, and its PESQ-WB and Distill-MOS less the base's with 95 %
    intervals over the speakers."""
    lines = [["row", "about", "CPU minutes", "PESQ-WB", "M-STFT", "V/UV error", "Distill-MOS",
              "PESQ-WB less base", "Distill-MOS less base"]]  # fmt: skip
    base = outcomes[BASE].scores[use]
    for name, row in ROWS.items():
        if name not in outcomes or use not in row.uses:
            continue
        scores = outcomes[name].scores[use]
        pesq, mstft, voicing, mos = (values_of(scores, metric).mean() for metric in METRIC_NAMES)
        lines.append([
            name, row.about, f"{outcomes[name].minutes:.1f}", f"{pesq:.3f}", f"{mstft:.3f}",
            f"{100 * voicing:.1f} %", f"{mos:.3f}",
            *("–" if name == BASE else difference(scores, base, metric)
              for metric in ("pesq", "distillmos")),
        ])  # fmt: skip
    return table(lines)


def rows_left(outcomes: Mapping[str, Outcome]) -> str:
    """How many rows have been trained, and which not.

    >>> rows_left(dict.fromkeys(ROWS))
    'All rows have been trained.'
    """
    left = [name for name in ROWS if name not in outcomes]
    if not left:
        return "All rows have been trained."
    named = ", ".join(f"*{name}*" for name in left)
    return f"{len(outcomes)} of {len(ROWS)} rows have been trained; not yet: {named}."


def read_outcomes() -> dict[str, Outcome]:
    """The rows that have been run, in the order of `ROWS`."""
    return {
        name: read_model(Outcome, outcome_path(name))
        for name in ROWS
        if outcome_path(name).is_file()
    }


def main() -> None:
    """Train rows that have no file yet, or renew the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", choices=("train", "tables"))
    parser.add_argument("--rows", nargs="*", choices=ROWS, metavar="ROW")
    parser.add_argument("--speech", type=Path, help="manifest that has the held-out speakers")
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="further manifests")
    parser.add_argument("--run", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    if options.stage == "tables":
        outcomes = read_outcomes()
        blocks = {hyphenated(use): trained_table(outcomes, use) for use in USES}
        blocks["rows"] = rows_left(outcomes)
        write_text(PAGE, replace_blocks(PAGE, blocks))
        return
    if options.speech is None:
        parser.error("train needs --speech MANIFEST")
    torch.set_num_threads(1)
    utterances = read_utterances(options.speech, load_recipe(RECIPE).data.held_out)
    for name in options.rows or ROWS:
        if outcome_path(name).is_file():
            continue
        found = train_row(
            name, [options.speech, *options.more], options.run, options.steps, utterances
        )
        OUTCOMES.mkdir(exist_ok=True)
        write_model(outcome_path(name), found)
        print(f"{name}: {outcome_path(name)}", flush=True)
        shutil.rmtree(options.run / outcome_path(name).stem)


if __name__ == "__main__":
    run(main)
