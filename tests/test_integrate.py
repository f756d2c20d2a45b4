"""docs/integrate.md: its code runs, on transformers itself, and on stand-ins that call a vocoder as
the other toolkits do."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import vocoder
from tests.small_transformers import small_fast_speech_2, small_speech_t5
from vocoder import adapters
from vocoder.features.mel import PRESETS

pytestmark = pytest.mark.slow

GUIDE = (Path(__file__).parent.parent / "docs" / "integrate.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", GUIDE, flags=re.DOTALL | re.MULTILINE))
STATISTICS = {"count": 10, "sum": -20 * np.ones(80), "sum_square": 42.5 * np.ones(80)}
"""Mean -2, standard deviation 0.5."""


def python(section: str, session: dict[str, Any]) -> dict[str, Any]:
    """Run the code of a section; what it defines."""
    session = {"vocoder": vocoder, "torch": torch} | session
    for block in re.findall(r"^```python\n(.*?)^```", SECTIONS[section], re.DOTALL | re.MULTILINE):
        exec(compile(block, f"docs/integrate.md, {section}", "exec"), session)
    return session


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch):
    """Puts a name into a module, with its parents, that is not installed."""

    def install(name: str, **content: Any) -> None:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            monkeypatch.setitem(
                sys.modules, ".".join(parts[:length]), ModuleType(".".join(parts[:length]))
            )
        vars(sys.modules[name]).update(content)

    return install


@pytest.fixture
def speech(repository: Path) -> Tensor:
    """A second of speech at 22.05 kHz, (1, samples)."""
    path = repository / "egs/tiny/wavs/test/ru_0806.wav"
    return vocoder.data.audio.read_audio(path, 22050).waveform[None, 22050:44100]


def test_transformers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """With random weights in the place of those on the hub."""
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    np.savez("feats_stats.npz", **STATISTICS)
    tokens = torch.tensor([[4, 5, 6, 7, 8, 2]])
    for name, loaded in (
        ("SpeechT5Processor", lambda text, return_tensors: {"input_ids": tokens}),
        ("SpeechT5ForTextToSpeech", small_speech_t5()),
        ("FastSpeech2ConformerWithHifiGan", small_fast_speech_2(normalize_before=False)),
    ):
        monkeypatch.setattr(
            getattr(transformers, name), "from_pretrained", lambda tag, loaded=loaded: loaded
        )
    session = python("Hugging Face transformers", {})
    assert session["speech"].ndim == 1
    assert len(session["speech"]) % 256 == 0
    assert session["waveform"].shape[0] == 1
    assert session["spec"].mean == pytest.approx((-2.0,) * 80)
    assert session["spec"].scale == pytest.approx((0.5,) * 80)


def test_espnet(stand_in, speech: Tensor):
    """What `Text2Speech.__call__` does after the acoustic model."""

    class Text2Speech:
        prefer_normalized_feats = False
        vocoder: Any = None

        @staticmethod
        def from_pretrained(model_tag: str) -> "Text2Speech":
            return Text2Speech()

        def __call__(self, text: str) -> dict[str, Tensor]:
            denormalised = PRESETS["espnet_22k"].mel(speech)[0].T
            output = {"feat_gen": (denormalised + 2) / 0.5, "feat_gen_denorm": denormalised}
            feats = "feat_gen" if self.prefer_normalized_feats else "feat_gen_denorm"
            return output | {"wav": self.vocoder(output[feats])}

    stand_in("espnet2.bin.tts_inference", Text2Speech=Text2Speech)
    spec = PRESETS["espnet_22k"].with_statistics([-2.0] * 80, [0.5] * 80)
    session = python("ESPnet2-TTS", {"spec": spec})
    assert session["wav"].shape == (256 * (1 + 22050 // 256),)
    assert session["text2speech"].vocoder.fs == 22050


def test_f5(stand_in, speech: Tensor):
    """What `infer_batch_process` does after sampling."""

    def infer_process(ref_audio, ref_text, gen_text, model_obj, vocoder):  # type: ignore[no-untyped-def]
        generated = model_obj().to(torch.float32).permute(0, 2, 1)
        wave = vocoder.decode(generated).squeeze().cpu().numpy()
        return wave, 24000, generated[0].cpu().numpy()

    stand_in("f5_tts.infer.utils_infer", infer_process=infer_process)
    mel = PRESETS["vocos_24k"].mel(speech).mT
    session = python("F5-TTS, and others with Vocos's mel", {"f5_model": lambda: mel})
    assert session["wave"].shape == (256 * mel.shape[1],)


def test_coqui(stand_in, speech: Tensor):
    """What `Synthesizer.tts` does with the mel of the acoustic model."""

    class TTS:
        def __init__(self, name: str) -> None:
            self.synthesizer = SimpleNamespace(vocoder_model=None)

        def tts(self, text: str) -> list[float]:
            normalised = PRESETS["coqui_22k"].mel(speech)[0].numpy()
            vocoder_input = torch.tensor(normalised).unsqueeze(0)
            waveform = self.synthesizer.vocoder_model.inference(vocoder_input.to("cpu"))
            return list(waveform.cpu().numpy().squeeze())

    stand_in("TTS.api", TTS=TTS)
    session = python("Coqui TTS", {})
    assert len(session["wav"]) == 256 * (1 + 22050 // 256)


def test_nemo(stand_in, speech: Tensor):
    class FastPitchModel:
        @staticmethod
        def from_pretrained(name: str) -> "FastPitchModel":
            return FastPitchModel()

        def parse(self, text: str) -> Tensor:
            return torch.tensor([[1, 2]])

        def generate_spectrogram(self, tokens: Tensor) -> Tensor:
            return PRESETS["hifigan_22k"].mel(speech)

    stand_in("nemo.collections.tts.models", FastPitchModel=FastPitchModel)
    session = python("NVIDIA NeMo", {})
    assert session["audio"].shape == (1, 256 * (22050 // 256))


def test_matcha(stand_in, speech: Tensor):
    def to_waveform(mel, vocoder, denoiser=None):  # type: ignore[no-untyped-def]
        return vocoder(mel).clamp(-1, 1).cpu().squeeze()

    stand_in("matcha.cli", to_waveform=to_waveform)
    mel = PRESETS["hifigan_22k"].mel(speech)
    session = python("Matcha-TTS, and others with HiFi-GAN's mel", {"matcha_mel": mel})
    assert session["waveform"].shape == (256 * mel.shape[2],)


@pytest.mark.filterwarnings("default")
def test_your_own_mel_warnings_and_precision(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(repository)
    session = python("Your own mel", {})
    assert session["waveform"].shape == (1, 256 * session["mel"].shape[2])
    assert session["waveforms"].shape == (2, 256 * 200)
    assert bool((session["waveforms"][1, 256 * 120 :] == 0).all())
    python("Mels that cannot be right", {})
    session = python("Precision and device", session)
    assert session["waveform"].dtype == torch.float32


def test_the_table_names_every_adapter():
    classes = [
        name
        for name, value in vars(adapters).items()
        if isinstance(value, type) and issubclass(value, adapters.Adapter)
    ]
    for name in classes:
        assert f"`{name}`" in GUIDE or name == "Adapter"
