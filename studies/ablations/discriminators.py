"""Discriminators alone: do they tell a copy from its recording, how soon, at what cost?

    python -m studies.ablations.discriminators --speech data/many_voices/manifest.jsonl

One utterance of every training speaker, cut to 5 s, and its copy by the weights that ship, from
Vocos's mel, with its pulses in step with the recording's. Both are cut at 7 kHz, so that the ends
of the recordings' bands are not seen. Discriminators learn from nothing, on crops of 0.21 s of 12
such pairs per step; the copies stay what they are. A pair of a held-out speaker is told apart where
the mean score of the recording is the higher one; the share is 0.5 by chance.

Keeps what it found in `studies/ablations/discriminators.json` and renews its table in RESULTS.md.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

import vocoder
from studies.ablations.speech import (
    Utterance,
    held_out,
    read_utterances,
    renew_results,
    study_parser,
)
from studies.scores import write_model
from studies.scripts import run, table
from vocoder.config import Config
from vocoder.data.manifest import read_manifest
from vocoder.dsp.framing import fit_length
from vocoder.losses.adversarial import Kind, discriminator_loss
from vocoder.models.source_filter import SourceFilter
from vocoder.training.objectives.adversarial import (
    AdversarialConfig,
    Discriminators,
    discriminator_objective,
    low_pass,
)

KEPT = Path(__file__).with_suffix(".json")
MEL, BAND_LIMIT_HZ = "vocos_24k", 7000.0
CROP, BATCH, STEPS, LEARNING_RATE, WARMUP = 5120, 12, 300, 1e-3, 50
EARLY = 100

NETWORKS: dict[str, dict[str, dict[str, object]]] = {
    "both axes of spectra, 1024, 512, 256": {
        "spectrogram": {"n_ffts": [1024, 512, 256], "channels": 16},
    },
    "folded waveform, 2, 3, 5, 7, 11": {"period": {"channels": 8, "max_channels": 64}},
    "frames of spectra, 512, 256, 128": {"frames": {"n_ffts": [512, 256, 128]}},
    "frames of spectra, 256": {"frames": {"n_ffts": [256]}},
}
KINDS: tuple[Kind, ...] = ("hinge", "relativistic")


class Found(Config):
    """What one discriminator learned.

    Fields:
        networks: the row of `NETWORKS`.
        kind: of its loss.
        seconds_per_step: of CPU time of one thread, for its own update.
        early, late: shares of the held-out pairs told apart after `EARLY` and `STEPS` steps, the
            mean over its networks.
        loss: on the held-out pairs in the end.
    """

    networks: str
    kind: Kind
    seconds_per_step: float
    early: float
    late: float
    loss: float


class Learned(Config):
    """All of them, and the weights that made the copies."""

    weights: str
    found: tuple[Found, ...]


class Pair(NamedTuple):
    """A recording and its copy, (samples,)."""

    recording: Tensor
    copy: Tensor


def pairs(model: SourceFilter, utterances: Sequence[Utterance]) -> list[Pair]:
    """Recordings and copies in step with them, both without what lies above `BAND_LIMIT_HZ`."""
    limit = torch.tensor([BAND_LIMIT_HZ])
    found = []
    for number, utterance in enumerate(utterances):
        recording = utterance.at(model.sample_rate)
        mel = model.mel(recording)
        gain = model.log_gain(model.pad_context(mel))
        left, right = model.context
        pitch = model.estimate_pitch(gain)
        samples = mel.shape[2] * model.spec.hop_length
        copy = model.synthesis(
            model.controls(gain),
            pitch.f0_hz,
            pitch.voicing,
            torch.randn(1, samples, generator=torch.Generator().manual_seed(number)),
            mel_gain=gain[:, left : gain.shape[1] - right],
            in_step_with=fit_length(recording, samples),
        )
        both = torch.cat([recording, fit_length(copy, recording.shape[1])])
        found.append(Pair(*low_pass(both, limit.expand(2), model.sample_rate)))
    return found


def crops(pairs: Sequence[Pair], seed: int) -> tuple[Tensor, Tensor]:
    """`BATCH` recordings and their copies, (batch, `CROP`) each, at random places."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for index in torch.randint(len(pairs), (BATCH,), generator=generator).tolist():
        pair = torch.stack(pairs[index])
        start = int(torch.randint(pair.shape[1] - CROP + 1, (), generator=generator))
        rows.append(pair[:, start : start + CROP])
    recordings, copies = torch.stack(rows, dim=1)
    return recordings, copies


@torch.no_grad()
def told_apart(networks: nn.Module, pairs: Sequence[Pair], kind: Kind) -> tuple[float, float]:
    """Share of pairs whose recording has the higher mean score, over 40 batches and all networks;
    and the loss."""
    shares, losses = [], []
    for seed in range(40):
        scores, _ = networks(torch.cat(crops(pairs, 10**6 + seed)))
        real, copied = zip(*(score.chunk(2) for score in scores), strict=True)
        losses.append(float(discriminator_loss(real, copied, kind)))
        for true, copy in zip(real, copied, strict=True):
            shares.append(float((true.flatten(1).mean(1) > copy.flatten(1).mean(1)).float().mean()))
    return sum(shares) / len(shares), sum(losses) / len(losses)


def learn(name: str, kind: Kind, train: Sequence[Pair], held: Sequence[Pair]) -> Found:
    """Train the discriminators of a row from nothing."""
    torch.manual_seed(0)
    sections = {"spectrogram": None, "period": None} | NETWORKS[name]
    config = AdversarialConfig.model_validate({"start_step": 0, "kind": kind} | sections)
    networks = Discriminators(config)
    optimizer = torch.optim.AdamW(networks.parameters(), lr=LEARNING_RATE, betas=(0.8, 0.99))
    seconds, early = 0.0, 0.0
    for step in range(STEPS):
        batch = crops(train, step)
        begun = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min((step + 1) / WARMUP, 1.0)
        loss = discriminator_objective(networks, *batch, config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds += time.process_time() - begun
        if step + 1 == EARLY:
            early, _ = told_apart(networks, held, kind)
    late, last = told_apart(networks, held, kind)
    return Found(
        networks=name, kind=kind, seconds_per_step=round(seconds / STEPS, 4),
        early=round(early, 4), late=round(late, 4), loss=round(last, 4),
    )  # fmt: skip


def lines(learned: Learned) -> str:
    """The table."""
    rows = [["discriminator", "loss", "CPU s per step", f"told apart after {EARLY} steps",
             f"after {STEPS}", "loss then"]]  # fmt: skip
    rows += [
        [each.networks, each.kind, f"{each.seconds_per_step:.2f}", f"{100 * each.early:.0f} %",
         f"{100 * each.late:.0f} %", f"{each.loss:.3f}"]
        for each in learned.found
    ]  # fmt: skip
    return table(rows)


def main() -> None:
    """Train all of them, keep what they learned, and renew the table."""
    options = study_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    model = vocoder.load(options.weights).for_mel(MEL)
    assert isinstance(model, SourceFilter)
    others = held_out("universal")
    speakers = sorted({
        entry.speaker
        for entry in read_manifest(options.speech)
        if entry.split == "train" and entry.speaker not in others
    })  # fmt: skip
    with torch.inference_mode():
        train = pairs(model, read_utterances(options.speech, speakers[:: options.every]))
        held = pairs(model, read_utterances(options.speech, others))
    train, held = ([Pair(*map(torch.clone, pair)) for pair in each] for each in (train, held))
    found = []
    for name in NETWORKS:
        for kind in KINDS:
            found.append(learn(name, kind, train, held))
            print(found[-1], flush=True)
    learned = Learned(weights=options.weights, found=tuple(found))
    write_model(KEPT, learned)
    renew_results("discriminators", lines(learned))


if __name__ == "__main__":
    run(main)
