"""Mels that cannot be speech in their spec draw a warning, recordings do not."""

import math
import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from studies.mel_plausibility.conventions import RECORDED, WRONG, distinct_specs, smoothed
from vocoder.data.audio import Audio, read_audio, resample
from vocoder.errors import MelError
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.features.mel_plausibility import (
    MelWarning,
    check_plausible,
    implausibility,
    level_statistics,
)
from vocoder.loading import load
from vocoder.models.base import Vocoder

SPECS = distinct_specs()
STATISTICS = ([-2.0 - 0.01 * m for m in range(80)], [0.5 + 0.005 * m for m in range(80)])
NAMED = {
    "decimal logarithm": "looks like the decimal logarithm of amplitudes: multiply it by 2.3",
    "decibels": "looks like decibels: multiply it by 0.115",
    "powers for amplitudes, or the reverse": "natural logarithm of powers: multiply it by 0.5",
    "mean 0, variance 1 of all bins": r"normalised to zero mean .*spec\.with_statistics",
    "waveform of 16-bit integers": "looks like the mel of 16-bit integers",
    "no logarithm": "looks like a mel without a logarithm",
    "-100 to 20 dB as 0 to 1": "looks like a mel scaled to the range from 0 to 1",
    "transposed": r"looks like \(batch, frames, n_mels\): transpose it",
}
"""What is said of HiFi-GAN's mel in each convention."""


@pytest.fixture(scope="module")
def recordings(repository: Path) -> list[Tensor]:
    """Two voices at 24 kHz, (1, samples)."""
    wavs = repository / "egs/tiny/wavs"
    paths = (wavs / "test/ru_0806.wav", wavs / "valid/en_conf-onlyperson.wav")
    return [read_audio(path, 24000).waveform[None, :96000] for path in paths]


def at(x: Tensor, spec: MelSpec) -> Tensor:
    return resample(Audio(x[0], 24000), spec.sample_rate).waveform[None]


def said(mel: Tensor, spec: MelSpec) -> str:
    """The warning or error of a mel, empty without one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_plausible(mel, spec)
        except MelError as error:
            return str(error)
    assert all(issubclass(warning.category, MelWarning) for warning in caught)
    return str(caught[0].message) if caught else ""


@pytest.mark.parametrize("name", SPECS)
def test_recordings_draw_no_warning(recordings: list[Tensor], name: str):
    spec = SPECS[name]
    for x in recordings:
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        for case, change in RECORDED.items():
            mel = spec.mel(at(change(x, noise), spec))
            assert not said(mel, spec), case
        assert not said(smoothed(spec.mel(at(x, spec))), spec)


def test_recordings_draw_no_warning_with_the_statistics_of_a_corpus(recordings: list[Tensor]):
    spec = PRESETS["espnet_24k"].with_statistics(*STATISTICS)
    for x in recordings:
        assert not said(spec.mel(x), spec)
        assert "louder than full scale" in said(PRESETS["espnet_24k"].mel(x) + 8, spec)


@pytest.mark.parametrize("case", NAMED)
def test_a_wrong_convention_is_named(recordings: list[Tensor], case: str):
    spec = PRESETS["hifigan_22k"]
    mel = WRONG[case](at(recordings[0], spec), spec)
    assert mel is not None
    assert re.search(NAMED[case], said(mel, spec)), said(mel, spec)


def test_natural_logarithms_are_told_from_decimal_ones(recordings: list[Tensor]):
    spec = PRESETS["speecht5_16k"]
    mel = WRONG["natural logarithm"](at(recordings[0], spec), spec)
    assert mel is not None
    assert "natural logarithm of amplitudes: multiply it by 0.434" in said(mel, spec)


def test_white_noise_of_unit_power_has_levels_of_zero():
    """The independent levels of noise: 5.57 dB of a Rayleigh amplitude, less per averaged bin."""
    spec = PRESETS["hifigan_22k"]
    noise = torch.randn(1, 22050 * 4, generator=torch.Generator().manual_seed(0))
    s = level_statistics(spec.log_amplitude(spec.mel(noise)), spec)
    assert s.loudness_db == pytest.approx(1, abs=1.5)
    assert s.mean_db == pytest.approx(0, abs=1)
    assert 1 < s.roughness_db < s.spread_db < 5.57
    assert s.floor_margin_db == pytest.approx(s.mean_db + 100, abs=6)
    assert s.below_floor == 0


def test_levels_follow_the_signal(recordings: list[Tensor]):
    spec = PRESETS["vocos_24k"]
    loud, quiet = (
        level_statistics(spec.log_amplitude(spec.mel(gain * recordings[0])), spec)
        for gain in (1.0, 0.1)
    )
    assert quiet.loudness_db == pytest.approx(loud.loudness_db - 20, abs=0.1)
    assert quiet.spread_db == pytest.approx(loud.spread_db, abs=0.1)
    scaled = level_statistics(2 * spec.log_amplitude(spec.mel(recordings[0])), spec)
    assert scaled.roughness_db == pytest.approx(2 * loud.roughness_db, rel=0.05)


def test_a_batch_is_one_long_mel(recordings: list[Tensor]):
    spec = PRESETS["hifigan_22k"]
    mel = spec.mel(recordings[0])[:, :, :200]
    levels = spec.log_amplitude(mel)
    one = level_statistics(levels, spec)
    two = level_statistics(levels.expand(2, -1, -1), spec)
    assert two.loudness_db == pytest.approx(one.loudness_db, abs=0.3)
    assert two.spread_db == pytest.approx(one.spread_db, rel=0.05)


def test_a_short_mel_is_judged_by_its_level_alone(recordings: list[Tensor]):
    spec = PRESETS["hifigan_22k"]
    mel = spec.mel(recordings[0])[:, :, 100:120]
    assert not said(mel / math.log(10), spec)
    assert "louder than full scale" in said(mel + 5, spec)
    statistics = level_statistics(spec.log_amplitude(mel[:, :, :1]), spec)
    assert implausibility(statistics, 1) is None


def test_a_mel_without_bound_is_refused(recordings: list[Tensor]):
    """What would be a waveform of 4e20."""
    spec = PRESETS["hifigan_22k"]
    with pytest.raises(MelError, match=r"\d+ dB louder than full scale"):
        check_plausible(spec.mel(recordings[0]) + 20, spec)


def test_vocoders_warn_in_use_and_not_in_training(recordings: list[Tensor]):
    vocoder: Vocoder = load()
    mel = vocoder.mel(recordings[0])[:, :, :100] / math.log(10)
    with pytest.warns(MelWarning, match="decimal logarithm of amplitudes"):
        vocoder(mel)
    with pytest.warns(MelWarning, match="decimal logarithm of amplitudes"):
        vocoder.stream().push(mel)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vocoder.train()(mel)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_transposed_mel_of_another_shape_is_told():
    with pytest.raises(MelError, match=r"looks like \(batch, frames, n_mels\), transpose it"):
        PRESETS["hifigan_22k"].check(torch.zeros(1, 7, 80))
