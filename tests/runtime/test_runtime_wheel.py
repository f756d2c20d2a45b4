"""The runtime's wheel, installed where there is no torch, speaks as PyTorch does."""

import re
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement

import vocoder
from tests.export.speech import after_silence, noise_of
from vocoder.data.audio import read_audio, write_audio

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("export")]

SPEAK = """
import importlib.util, sys
import numpy as np, soundfile
from vocoder_runtime import OnnxVocoder

assert "site-packages" in importlib.util.find_spec("vocoder_runtime").origin
for absent in ("jaxtyping", "torch", "vocoder"):
    assert importlib.util.find_spec(absent) is None, absent
v, noise = OnnxVocoder("universal.onnx"), np.load("noise.npy")
mel = v.mel(soundfile.read("recording.wav", dtype="float32")[0])
stream = OnnxVocoder("stream.onnx").stream()
frames = noise.reshape(1, -1, v.hop_length)
pieces = [
    stream.push(m, noise=n)
    for m, n in zip(np.array_split(mel, 9, 2), np.array_split(frames, 9, 1))
]
streamed = np.concatenate([*pieces, stream.flush()], axis=1)
np.savez("spoken.npz", mel=mel, whole=v(mel, noise=noise), streamed=streamed)
"""


def requirements_of(name: str, found: set[str] | None = None) -> set[str]:
    """The names of a package and all that it requires."""
    found = {name} if found is None else found | {name}
    for line in distribution(name).requires or ():
        required = Requirement(line)
        if required.name not in found and (not required.marker or required.marker.evaluate()):
            found |= requirements_of(required.name, found)
    return found


def environment_with(folder: Path, *packages: str) -> Path:
    """The interpreter of a fresh environment that has links to packages of this one, and no more:
    what pip would install, without a network."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    names = set().union(*(requirements_of(package) for package in packages))
    for name in names:
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(installed.locate_file(top))
    return folder / "bin" / "python"


@torch.inference_mode()
def test_the_wheel_speaks_without_torch(exported: Path, repository: Path, tmp_path: Path):
    build = ("-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path)
    subprocess.run([sys.executable, *build], cwd=repository / "runtime", check=True)
    (wheel,) = tmp_path.glob("*.whl")
    python = environment_with(tmp_path / "venv", "numpy", "onnxruntime", "soundfile")
    isolated = (python, "-I")  # neither this folder nor PYTHONPATH
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index")
    subprocess.run([*pip, wheel], check=True)

    model = vocoder.load().for_mel("hifigan_22k")
    hop = model.spec.hop_length
    path = repository / "egs/tiny/wavs/test/ru_0806.wav"
    write_audio(tmp_path / "recording.wav", read_audio(path, 22050).waveform, 22050)
    mel = model.mel(read_audio(tmp_path / "recording.wav").waveform)
    noise = noise_of(mel, hop)
    np.save(tmp_path / "noise.npy", noise.numpy())
    for name in ("universal.onnx", "stream.onnx"):
        (tmp_path / name).symlink_to(exported / name)
    subprocess.run([*isolated, "-c", SPEAK], cwd=tmp_path, check=True)
    spoken = {name: torch.from_numpy(v) for name, v in np.load(tmp_path / "spoken.npz").items()}
    torch.testing.assert_close(spoken["mel"], mel, atol=1e-4, rtol=0)
    whole = model(mel, noise=noise, low_band_projection=0)
    torch.testing.assert_close(spoken["whole"], whole, atol=1e-3, rtol=0)
    streamed = after_silence(model, mel, noise, mel_projection=1)
    torch.testing.assert_close(spoken["streamed"], streamed, atol=1e-3, rtol=0)

    readme = (repository / "runtime" / "README.md").read_text(encoding="utf-8")
    setting = "import numpy as np\nwaveform = np.zeros(22050)\npieces = [np.zeros((1, 80, 3))]\n"
    setting += "play = print\n"
    blocks = re.findall(r"^```python\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    subprocess.run([*isolated, "-c", setting + "".join(blocks)], cwd=tmp_path, check=True)
    (command,) = re.findall(r"^python (-m vocoder_runtime universal\.onnx .*?) *#", readme, re.M)
    (tmp_path / "in.wav").symlink_to(tmp_path / "recording.wav")
    subprocess.run([*isolated, *command.split()], cwd=tmp_path, check=True)
    assert len(read_audio(tmp_path / "out.wav").waveform) == mel.shape[2] * hop
