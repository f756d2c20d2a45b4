"""Mels to train a universal vocoder on: presets and random ones, one for each batch."""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from vocoder.config import Config
from vocoder.errors import suggestion
from vocoder.features.mel import PRESETS, MelSpec, named_mel


class MelDraws(Config):
    """Shares of the recipe's own mel, of presets and of random mels among the batches.

    ``own``: share of the recipe's mel. ``random``: share of random mels; presets get the rest.
    ``presets``: names. ``pool``: number of different random mels. ``wideband``: share of segments
    taken from recordings that fill the mel's range, in batches whose mel reaches above the range of
    other recordings.
    """

    own: float = Field(0.4, ge=0, le=1)
    random: float = Field(0.25, ge=0, le=1)
    presets: tuple[str, ...] = Field(min_length=1)
    pool: int = Field(32, ge=1)
    wideband: float = Field(0.3, ge=0, le=1)

    @field_validator("presets")
    @classmethod
    def _exist(cls, presets: tuple[str, ...]) -> tuple[str, ...]:
        for name in presets:
            if name not in PRESETS:
                raise ValueError(f"no mel preset {name!r}{suggestion(name, list(PRESETS))}")
        return presets

    @model_validator(mode="after")
    def _are_shares(self) -> Self:
        if self.own + self.random > 1:
            raise ValueError(f"own {self.own:g} and random {self.random:g} are more than all")
        return self

    def pool_of(self, seed: int) -> list[MelSpec]:
        """The random mels of a seed."""
        random = np.random.default_rng(seed)
        found: list[MelSpec] = []
        while len(found) < self.pool:
            spec = random_spec(random)
            if bool((spec.filterbank().sum(dim=1) > 0).all()):
                found.append(spec)
        return found

    def draw(self, random: np.random.Generator, own: MelSpec, pool: Sequence[MelSpec]) -> MelSpec:
        """The mel of one batch."""
        chance, index = random.random(), random.random()
        if chance < self.own:
            return own
        if chance < self.own + self.random:
            return pool[int(index * len(pool))]
        return named_mel(self.presets[int(index * len(self.presets))])


def frames_at(spec: MelSpec, own: MelSpec, frames: int) -> int:
    """Frames of a mel that last as long as ``frames`` of the recipe's own, rounded."""
    return round(frames * own.hop_length / own.sample_rate * spec.sample_rate / spec.hop_length)


def random_spec(random: np.random.Generator) -> MelSpec:
    """A mel as somebody might define it.

    16, 22.05 or 24 kHz; hop of 8 to 16 ms, in multiples of 20 samples; window of 2 to 5 hops; FFT
    of the next power of two; 80 to 128 bands up to 7.6 kHz, 8 kHz or Nyquist; amplitude or power,
    slaney or HTK, with or without equal areas, frames centred on a hop's start or middle.
    """
    sample_rate = int(random.choice([16000, 22050, 24000]))
    hop_length = 20 * round(sample_rate * random.uniform(0.008, 0.016) / 20)
    win_length = 2 * round(hop_length * random.uniform(2, 5) / 2)
    return MelSpec(
        sample_rate=sample_rate,
        n_fft=2 ** math.ceil(math.log2(win_length)),
        hop_length=hop_length,
        win_length=win_length,
        n_mels=int(random.choice([80, 80, 96, 100, 128])),
        f_min=float(random.choice([0, 0, 20, 80])),
        f_max=float(random.choice([7600, 8000, sample_rate / 2, sample_rate / 2])),
        mel_scale=random.choice(["slaney", "htk"]),
        mel_norm=random.choice(["slaney", "none"]),
        power=int(random.choice([1, 1, 2])),
        floor=float(random.choice([1e-5, 1e-7, 1e-10])),
        padding=random.choice(["center", "same"]),
    )
