"""Scores of whole utterances, and of utterances with undefined scores."""

import copy
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from vocoder.data.manifest import Utterance
from vocoder.data.segments import Recording, SegmentSource
from vocoder.features.pitch import Pitch
from vocoder.losses.spectral import SpectralLossConfig
from vocoder.training.trainer import Trainer
from vocoder.training.validation import Validator, picture, pixels

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]


def validator(trainer: Trainer, recordings: list[Recording], folder: Path) -> Validator:
    source = SegmentSource(
        recordings, trainer.source.config, trainer.model.spec, trainer.model.context, seed=0
    )
    validation_objective = copy.deepcopy(trainer.accelerator.unwrap_model(trainer.objective))
    return Validator(
        validation_objective, source, SpectralLossConfig(), SummaryWriter(str(folder / "board"))
    )


def silence(trainer: Trainer, samples: int) -> Recording:
    frames = trainer.model.spec.frames(samples)
    about = Utterance(
        path=Path("silence.wav"), speaker="a", split="valid", duration_s=1, licence="none"
    )
    pitch = Pitch(torch.full((frames,), 173.2), torch.zeros(frames))
    rate = trainer.model.sample_rate
    return Recording(about, Path("silence.wav"), np.zeros(samples, np.int16), pitch, rate)


def test_scores_are_those_of_the_weights_given(
    make_trainer: Callable[..., Trainer], recordings: list[Recording], tmp_path: Path
):
    trainer = make_trainer("adversarial=null")
    one = validator(trainer, recordings[:1], tmp_path)
    weights = dict(trainer.averaged)
    scores = one(0, weights)
    assert scores == one(0, weights)
    # All gains 26 dB larger, more than is corrected: the log distance of the spectra grows.
    louder = {name: value.clone() for name, value in weights.items()}
    steps, bands = trainer.model.config.steps_per_frame, trainer.model.spec.n_mels
    louder["filter_network.output.bias"][:-2].view(steps, 4, bands)[:, [0, 3]] += 3
    assert one(0, louder)["stft"] > scores["stft"] + 0.3
    # What the model itself holds plays no part.
    with torch.no_grad():
        trainer.model.filter_network.output.bias.fill_(5)
    assert one(0, weights) == scores


@pytest.mark.parametrize("samples", [300, 16000])
def test_a_silent_or_very_short_utterance_does_not_stop_the_training(
    make_trainer: Callable[..., Trainer],
    recordings: list[Recording],
    tmp_path: Path,
    samples: int,
):
    trainer = make_trainer("adversarial=null")
    quiet = silence(trainer, samples)
    scores = validator(trainer, [quiet], tmp_path)(0, trainer.averaged)
    whole = {name for name in scores if not name.startswith("loss_")}
    assert whole == {"stft", "mel", "voicing_error"}
    both = validator(trainer, [quiet, recordings[0]], tmp_path)(0, trainer.averaged)
    alone = validator(trainer, [recordings[0]], tmp_path)(0, trainer.averaged)
    assert both["f0_cents"] == pytest.approx(alone["f0_cents"])
    assert all(math.isfinite(value) for value in both.values())


def test_the_picture_shows_both_signals_and_tracks():
    signal = torch.sin(torch.arange(16000) * 0.3)
    tracks = {"Praat": torch.full((63,), 100.0), "predicted": torch.full((63,), 110.0)}
    figure = picture(signal, 0.5 * signal, 16000, 256, tracks)
    recorded, resynthesised, f0 = figure.axes
    assert (recorded.get_title(), resynthesised.get_title()) == ("recording", "resynthesis")
    assert [line.get_label() for line in f0.lines] == ["Praat", "predicted"]
    assert f0.lines[1].get_ydata()[5] == 110
    assert f0.lines[0].get_xdata()[-1] == pytest.approx(62 * 256 / 16000)


def test_a_figure_becomes_an_image_of_its_size_and_colours():
    figure = Figure(figsize=(3, 2), dpi=50, facecolor="blue")
    image = pixels(figure)
    assert (image.shape, image.dtype) == ((100, 150, 3), np.uint8)
    assert (image == [0, 0, 255]).all()


def test_pictures_are_drawn_without_a_backend():
    """An importing program's backend stays, and pyplot, which would choose one, is not loaded."""
    program = """
import sys, matplotlib, torch
matplotlib.use("svg")
from vocoder.training.validation import picture, pixels
signal = torch.sin(torch.arange(4000) * 0.3)
pixels(picture(signal, signal, 16000, 256, {"Praat": torch.full((16,), 100.0)}))
print(matplotlib.get_backend(), "matplotlib.pyplot" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["svg", "False"]
