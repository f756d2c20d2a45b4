"""The vocoders applied to every recording: our weights, Griffin-Lim, WORLD."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from studies.published.pages import Page
from vocoder.errors import VocoderError
from vocoder.evaluation.cost import macs_per_second
from vocoder.features.mel import PRESETS
from vocoder.loading import SHIPPED, load
from vocoder.models.base import Vocoder
from vocoder.models.classical import GriffinLim
from vocoder.models.waveform import WaveVocoder
from vocoder.models.world import WorldVocoder

GRIFFIN_LIM, WORLD = "griffin_lim", "pyworld"
TRIAL = "trial"


@dataclass(frozen=True)
class Weights:
    """One set of our own weights, at one mel.

    Attributes:
        weights: name of shipped weights, or of a trial.
        folder: of the checkpoint.
        trial: True if not shipped.
        mel: preset that universal weights are given; None for the mel of the checkpoint.
    """

    weights: str
    folder: Path
    trial: bool = False
    mel: str | None = None

    @property
    def name(self) -> str:
        """Its name in files."""
        return self.weights if self.mel is None else f"{self.weights}_{self.mel}"

    @property
    def label(self) -> str:
        """Its name in tables."""
        mel = "" if self.mel is None else f" from {self.mel}"
        return f"ours, {self.weights}{mel}{' (a trial)' if self.trial else ''}"

    def load(self) -> Vocoder:
        """The vocoder."""
        vocoder: Vocoder = load(self.folder)
        return vocoder if self.mel is None else vocoder.for_mel(self.mel)


OTHER_MELS = ("hifigan_22k", "speecht5_16k")
"""Mels that universal weights are measured at beside their own."""


def own_weights(trials: Mapping[str, Path]) -> list[Weights]:
    """All shipped sets, then the trials; universal weights at several mels."""
    sets = [Weights(name, folder) for name, folder in SHIPPED.items()]
    sets += [Weights(name, folder, trial=True) for name, folder in trials.items()]
    found = []
    for each in sets:
        found.append(each)
        if each.load().serves_any_mel:
            found += [replace(each, mel=mel) for mel in OTHER_MELS]
    return found


def classical(
    page: Page, presets: list[str]
) -> dict[str, tuple[str, Callable[[], Vocoder | WaveVocoder]]]:
    """Label and constructor of classical vocoders, by name.

    Griffin-Lim starts from the mel of the page's vocoders and from each of `presets`, 32
    iterations; WORLD works at the page's rate.
    """
    found: dict[str, tuple[str, Callable[[], Vocoder | WaveVocoder]]] = {}
    for preset in dict.fromkeys([page.mel_preset, *presets]):
        spec = PRESETS[preset]
        found[f"{GRIFFIN_LIM}_{preset}"] = (
            f"Griffin-Lim, {preset}",
            partial(GriffinLim, spec),
        )
    found[WORLD] = ("WORLD", lambda: WorldVocoder(page.sample_rate))
    if taken := found.keys() & page.systems:
        raise VocoderError(f"{min(taken)}: a system of the page has the name of one made here")
    return found


def gmac_per_second(vocoder: Vocoder) -> float:
    """10⁹ multiply-accumulates per second of audio."""
    return macs_per_second(vocoder) / 1e9
