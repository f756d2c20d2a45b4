"""Recordings, babble, and their mixtures at known ratios."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from studies.validation.degradations import add_noise, speech_shaped_noise
from vocoder.data.audio import read_audio
from vocoder.data.manifest import Utterance, read_manifest
from vocoder.errors import CorpusError, VocoderError

Kind = Literal["stationary", "babble"]

RATE = 16000
SNRS_DB = (0, 5, 10, 15)
SECONDS = 4.8
"""Seconds of each recording, from its beginning. DNSMOS uses segments of 9 s and repeats shorter
signals; twice this is one segment."""
SAMPLES = round(SECONDS * RATE)
LEVEL = 0.5
"""Gain of the recordings, so that no mixture clips in a 16-bit file."""
POOL_SECONDS = 150
"""Seconds of speech in each pool of talkers."""
SHORTEST_S = 2.0
"""Prompts of one word are excluded from the babble, since they are mostly pauses."""
TALKERS = 2
"""Simultaneous voices from each pool."""


@dataclass(frozen=True)
class Mixture:
    """A recording in noise; both (samples,)."""

    name: str
    kind: Kind
    snr_db: int
    clean: Tensor
    noisy: Tensor


def read_recordings(
    corpus: Path, split: str, count: int, longest_s: float = SECONDS
) -> dict[str, Float[Tensor, " samples"]]:
    """``count`` recordings of a split by name, evenly spaced, at half their level."""
    own = [u for u in read_manifest(corpus / "manifest.jsonl") if u.split == split]
    if len(own) < count:
        raise CorpusError(f"{corpus}: split {split} has {len(own)} recordings, not {count}")
    chosen = [own[place * len(own) // count] for place in range(count)]
    found = {}
    for utterance in track(chosen, f"reading {split}"):
        waveform = read_audio(corpus / utterance.path, RATE).waveform
        found[utterance.path.stem] = LEVEL * waveform[: round(longest_s * RATE)]
    return found


def read_pools(corpus: Path, others: Path, part: int) -> Float[Tensor, "pools samples"]:
    """Speech of other speakers for babble, from the training splits, one row per speaker and
    language.

    Args:
        part: 0 or 1, the files with even or odd index: babble for training and for selection and
            test has the same speakers, but different recordings.
    """
    pools: dict[str, list[tuple[Path, Utterance]]] = {}
    for folder in (corpus, others):
        for entry in read_manifest(folder / "manifest.jsonl"):
            if entry.split == "train" and entry.duration_s >= SHORTEST_S:
                pools.setdefault(entry.path.parent.as_posix(), []).append((folder, entry))
    rows = []
    for name, files in track(pools.items(), "reading babble"):
        pieces, samples = [], 0
        for folder, entry in files[part::2]:
            pieces.append(read_audio(folder / entry.path, RATE).waveform)
            samples += len(pieces[-1])
            if samples >= POOL_SECONDS * RATE:
                break
        else:
            raise CorpusError(f"{name}: less than {POOL_SECONDS} s of speech for babble")
        rows.append(torch.cat(pieces)[: POOL_SECONDS * RATE])
    return torch.stack(rows)


def babble(
    pools: Float[Tensor, "pools samples"], samples: int, generator: torch.Generator
) -> Float[Tensor, " samples"]:
    """Two simultaneous voices of each pool, equally loud, from random positions."""
    total = torch.zeros(samples)
    for pool in pools:
        places = torch.randint(len(pool) - samples, (TALKERS,), generator=generator)
        for place in places.tolist():
            voice = pool[place : place + samples]
            total += voice / voice.square().mean().sqrt().clamp(min=1e-4)
    return total


def make_noise(
    kind: Kind, clean: Tensor, pools: Tensor, generator: torch.Generator
) -> Float[Tensor, " samples"]:
    """Noise with the recording's own long-term spectrum, or babble, as long as it."""
    if kind == "stationary":
        return speech_shaped_noise(clean, generator)
    return babble(pools, len(clean), generator)


def make_mixtures(
    recordings: dict[str, Tensor], pools: Tensor, snrs_db: tuple[int, ...], seed: int
) -> list[Mixture]:
    """Every recording in both kinds of noise at every ratio, the same noise at all of them.

    Raises:
        VocoderError: a mixture that would clip.
    """
    generator = torch.Generator().manual_seed(seed)
    kinds: tuple[Kind, ...] = ("stationary", "babble")
    mixtures = []
    for name, clean in recordings.items():
        for kind in kinds:
            noise = make_noise(kind, clean, pools, generator)
            for snr_db in snrs_db:
                noisy = add_noise(clean, noise, snr_db)
                if float(noisy.abs().max()) >= 1:
                    raise VocoderError(f"{name} in {kind} noise at {snr_db} dB clips: lower LEVEL")
                mixtures.append(Mixture(name, kind, snr_db, clean, noisy))
    return mixtures
