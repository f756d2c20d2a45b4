"""Discriminators alone: do they tell a copy from its recording, how soon, at what cost?

    python -m studies.ablations.judges --speech data/many_voices/manifest.jsonl

One utterance of every training speaker, cut to 5 s, and its copy by the weights that ship, from
Vocos's mel, with its pulses in step with the recording's, as in training. Both end at 7 kHz, since
most recordings do. Discriminators learn from nothing, on crops of 0.21 s of 12 such pairs per step;
the copies stay what they are. The share of pairs of the held-out speakers whose recording has the
higher mean score is 0.5 by chance.

Keeps what it found in `studies/ablations/judges.json` and renews its table in RESULTS.md.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

import vocoder
from studies.ablations.speech import Utterance, held_out, read_utterances, study_parser
from studies.scores import write_model
from studies.scripts import replace_blocks, run, table
from vocoder.config import Config
from vocoder.data.files import write_text
from vocoder.data.manifest import read_manifest
from vocoder.dsp.framing import fit_length
from vocoder.losses.adversarial import Kind, discriminator_loss
from vocoder.models.source_filter import SourceFilter
from vocoder.training.objectives.adversarial import AdversarialConfig, Discriminators, low_pass

HERE = Path(__file__).parent
KEPT, PAGE = HERE / "judges.json", HERE / "RESULTS.md"
MEL, BAND_LIMIT_HZ = "vocos_24k", 7000.0
CROP, BATCH, STEPS, LEARNING_RATE, WARMUP = 5120, 12, 300, 1e-3, 50
EARLY = 100

JUDGES: dict[str, dict[str, dict[str, object]]] = {
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
        judge: its name.
        kind: of its loss.
        seconds_per_step: of CPU time of one thread, for its own update.
        early, late: shares of the held-out pairs that it tells after `EARLY` and `STEPS` steps, the
            mean over its networks.
        loss: on the held-out pairs in the end.
    """

    judge: str
    kind: Kind
    seconds_per_step: float
    early: float
    late: float
    loss: float


class Judgements(Config):
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


def judged(
    judge: nn.Module, recordings: Tensor, copies: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Scores of either, a list of networks."""
    scores, _ = judge(torch.cat([recordings, copies]))
    halves = [score.chunk(2) for score in scores]
    return [real for real, _ in halves], [copy for _, copy in halves]


@torch.no_grad()
def told(judge: nn.Module, pairs: Sequence[Pair], kind: Kind) -> tuple[float, float]:
    """Share of pairs that are told, and the loss, of 40 batches."""
    shares, losses = [], []
    for seed in range(40):
        real, copied = judged(judge, *crops(pairs, 10**6 + seed))
        losses.append(float(discriminator_loss(real, copied, kind)))
        means = zip(
            *([s.flatten(1).mean(1) for s in scores] for scores in (real, copied)), strict=True
        )
        shares += [float((true > copy).float().mean()) for true, copy in means]
    return sum(shares) / len(shares), sum(losses) / len(losses)


def learn(name: str, kind: Kind, train: Sequence[Pair], held: Sequence[Pair]) -> Found:
    """Train one discriminator."""
    torch.manual_seed(0)
    sections = {"spectrogram": None, "period": None} | JUDGES[name]
    config = AdversarialConfig.model_validate({"start_step": 0} | sections)
    judge = Discriminators(config)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, betas=(0.8, 0.99))
    seconds, early = 0.0, 0.0
    for step in range(STEPS):
        batch = crops(train, step)
        begun = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min((step + 1) / WARMUP, 1.0)
        loss = discriminator_loss(*judged(judge, *batch), kind)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds += time.process_time() - begun
        if step + 1 == EARLY:
            early, _ = told(judge, held, kind)
    late, last = told(judge, held, kind)
    return Found(
        judge=name, kind=kind, seconds_per_step=round(seconds / STEPS, 4), early=round(early, 4),
        late=round(late, 4), loss=round(last, 4),
    )  # fmt: skip


def lines(judgements: Judgements) -> str:
    """The table."""
    rows = [["discriminator", "loss", "CPU s per step", f"told after {EARLY} steps",
             f"after {STEPS}", "loss then"]]  # fmt: skip
    rows += [
        [each.judge, each.kind, f"{each.seconds_per_step:.2f}", f"{100 * each.early:.0f} %",
         f"{100 * each.late:.0f} %", f"{each.loss:.3f}"]
        for each in judgements.found
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
    for name in JUDGES:
        for kind in KINDS:
            found.append(learn(name, kind, train, held))
            print(found[-1], flush=True)
    judgements = Judgements(weights=options.weights, found=tuple(found))
    write_model(KEPT, judgements)
    write_text(
        PAGE, replace_blocks(PAGE, {"judges": lines(judgements)}, others=("regions", "hard-inputs"))
    )


if __name__ == "__main__":
    run(main)
