"""The runtime's mel, in NumPy, is the mel of `vocoder.MelSpec`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vocoder.data.audio import read_audio
from vocoder.features.mel import PRESETS, MelSpec
from vocoder_runtime import MelSpec as RuntimeSpec
from vocoder_runtime import VocoderError, mel

HIFIGAN = PRESETS["hifigan_22k"].model_dump()
OTHERS = {
    "pre-emphasis, powers in decibels": {"pre_emphasis": 0.97, "power": 2, "log": "db"},
    "decimal powers, HTK": {"power": 2, "log": "log10", "mel_scale": "htk", "floor": 1e-10},
    "statistics of each bin": {
        "mean": tuple(-5.0 + 0.02 * m for m in range(80)),
        "scale": tuple(1.0 + 0.01 * m for m in range(80)),
    },
    "clipped on one side": {"mel_norm": "none", "clip_max": -3.0},
    "clipped on both": {"clip_min": -8.0, "clip_max": -3.0},
    "a short window, not in the middle": {"win_length": 601, "hop_length": 200},
    "an odd transform": {"n_fft": 1025, "padding": "center", "f_min": 50.0},
}
SPECS = PRESETS | {name: MelSpec(**(HIFIGAN | fields)) for name, fields in OTHERS.items()}


def in_runtime(spec: MelSpec) -> RuntimeSpec:
    return RuntimeSpec.from_json(spec.model_dump_json())


@pytest.mark.parametrize("name", SPECS)
def test_the_mel_of_a_recording_is_that_of_torch(name: str, tiny_corpus: Path):
    spec = SPECS[name]
    waveform = read_audio(tiny_corpus / "wavs/test/ru_0806.wav", spec.sample_rate).waveform
    found = in_runtime(spec).mel(waveform.numpy())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, spec.mel(waveform[None]).numpy(), atol=1e-4, rtol=0)
    bank = spec.filterbank().numpy()
    np.testing.assert_allclose(mel.mel_filters(in_runtime(spec)), bank, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 255, 384, 385, 512, 513, 1024, 9_000])
@pytest.mark.parametrize("name", ["hifigan_22k", "vocos_24k", "espnet_24k"])
def test_every_length_has_the_frames_of_torch(
    samples: int, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mel, "BLOCK_FRAMES", 7)
    waveform = torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    found = in_runtime(PRESETS[name]).mel(waveform.numpy())
    np.testing.assert_allclose(found, PRESETS[name].mel(waveform).numpy(), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros((2, 1, 500)), r"shape \(2, 1, 500\)"),
        (np.zeros(0), r"shape \(0,\)"),
        (np.zeros(500, np.int16), "type int16: use floats"),
        (np.full(500, np.inf), "infinite"),
    ],
)
def test_what_is_no_waveform_is_refused(waveform: np.ndarray, message: str):
    with pytest.raises(VocoderError, match=message):
        in_runtime(PRESETS["hifigan_22k"]).mel(waveform)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"bark": 1}, "bark"), ({"log": "log2"}, "log"), ({"power": 3}, "power")],
)
def test_fields_of_another_version_are_named(change: dict, named: str):
    with pytest.raises(VocoderError, match=f"the mel's {named}: another version's"):
        RuntimeSpec.from_json(json.dumps(HIFIGAN | change))
    fewer = {name: value for name, value in HIFIGAN.items() if name != "floor"}
    with pytest.raises(VocoderError, match="the mel's floor: "):
        RuntimeSpec.from_json(json.dumps(fewer))
