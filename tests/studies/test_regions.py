"""Regions of a copy that are the recording's: masks, and the table of what was kept."""

from pathlib import Path

import pytest
import torch

import vocoder
from studies.ablations.regions import KEPT, REGIONS, WINDOW, Regions, lines, mixtures
from studies.ablations.speech import RESULTS, copy_with
from studies.scores import read_model
from vocoder.data.audio import read_audio, resample
from vocoder.dsp.framing import fit_length


@pytest.fixture(scope="module")
def recording(tiny_corpus: Path) -> torch.Tensor:
    audio = resample(read_audio(tiny_corpus / "wavs/test/ru_0806.wav"), 24000)
    return audio.waveform[None, :48000]


def region(name: str, voiced: torch.Tensor) -> torch.Tensor:
    hertz = torch.linspace(0, 12000, WINDOW // 2 + 1)[:, None]
    return REGIONS[name](voiced, hertz).expand(len(hertz), len(voiced))


def test_regions_share_the_spectrum_out():
    voiced = torch.rand(200, generator=torch.Generator().manual_seed(0)) > 0.5
    voiced[:60], voiced[60:120] = True, False
    parts = {
        "everything": ("voiced", "unvoiced"),
        "voiced": ("voiced, below 1 kHz", "voiced, 1 to 4 kHz", "voiced, above 4 kHz"),
        "voiced, 1 to 4 kHz": ("voiced, 1 to 2 kHz", "voiced, 2 to 4 kHz"),
    }
    for whole, pieces in parts.items():
        count = sum(region(piece, voiced).int() for piece in pieces)
        assert torch.equal(count, region(whole, voiced).int()), whole
    assert not region("nothing", voiced).any()
    assert region("everything", voiced).all()
    apart = ("unvoiced, further from it", "voiced, further from it")
    count = sum(region(piece, voiced).int() for piece in apart)
    near = region("within 21 ms of a change of voicing", voiced)
    assert torch.equal(count == 0, near)
    assert 0 < near.float().mean() < 1


def test_everything_is_the_recording_and_nothing_the_copy(recording):
    model = vocoder.load("universal").for_mel("vocos_24k")
    with torch.inference_mode():
        made = {name: speak(recording) for name, speak in mixtures(model).items()}
        copy = fit_length(copy_with(model)(recording), recording.shape[1])
    assert torch.allclose(made["everything"], recording, atol=1e-5)
    assert torch.allclose(made["nothing"], copy, atol=1e-5)
    whole = (recording - copy).square().sum()
    for name, waveform in made.items():
        if name not in ("nothing", "magnitudes everywhere"):
            assert (recording - waveform).square().sum() < whole, name


def test_the_table_is_that_of_the_scores_that_are_kept():
    found = read_model(Regions, KEPT)
    assert [*REGIONS, "magnitudes everywhere", "phases everywhere"] == list(found.scores)
    assert lines(found) in RESULTS.read_text(encoding="utf-8")
