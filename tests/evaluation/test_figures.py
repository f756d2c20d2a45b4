from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.figures import spectrogram_figure


def draw(path: Path, *signals: np.ndarray, f0_hz=None) -> np.ndarray:
    spectrogram_figure({f"s{i}": s for i, s in enumerate(signals)}, RATE, path, f0_hz)
    return matplotlib.image.imread(path)[..., :3]


def test_a_panel_for_each_signal_and_no_rubbish_left(tmp_path):
    one = draw(tmp_path / "1.png", speech_like())
    three = draw(tmp_path / "3.png", speech_like(), torch.from_numpy(speech_like()), speech_like())
    assert three.shape[0] > 2 * one.shape[0]
    assert three.shape[1] == one.shape[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "3.png"]


def test_a_tone_is_bright_at_its_height(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 6000 * np.arange(2 * RATE) / RATE)
    picture = draw(tmp_path / "tone.png", tone)
    column = picture[:, picture.shape[1] // 2].sum(-1)
    # The frame of the panel is black or white; the tone is the bright row inside the dark.
    dark = np.flatnonzero(column < 0.1)
    inside = slice(dark[0] + 5, dark[-1] - 5)
    peak = dark[0] + 5 + int(column[inside].argmax())
    height = (dark[-1] - peak) / (dark[-1] - dark[0])
    assert height == pytest.approx(6000 / 8000, abs=0.04)


def test_noise_and_an_f0_track_change_the_picture(tmp_path):
    clean = draw(tmp_path / "a.png", speech_like())
    noisy = draw(tmp_path / "b.png", with_noise(speech_like(), 5))
    track = np.where(np.arange(300) % 100 < 60, 150.0, 0.0)
    drawn = draw(tmp_path / "c.png", speech_like(), f0_hz={"s0": track})
    assert np.abs(clean - noisy).mean() > 0.05
    cyan = (drawn[..., 0] < 0.2) & (drawn[..., 1] > 0.9) & (drawn[..., 2] > 0.9)
    assert cyan.sum() > 200


def test_bad_input_is_refused_and_nothing_written(tmp_path):
    path = tmp_path / "no.png"
    with pytest.raises(VocoderError, match="no signals"):
        spectrogram_figure({}, RATE, path)
    with pytest.raises(AudioError, match="mine: the signal is empty"):
        spectrogram_figure({"mine": np.zeros(0)}, RATE, path)
    with pytest.raises(VocoderError, match="track for 'yours'"):
        spectrogram_figure({"mine": speech_like()}, RATE, path, {"yours": np.ones(3)})
    assert not path.exists()
