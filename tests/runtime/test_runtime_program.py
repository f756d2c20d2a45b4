"""The runtime's program and errors, on a small graph whose waveform is F0 in units of 10 kHz."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vocoder.features.mel import PRESETS
from vocoder_runtime import OnnxVocoder, VocoderError
from vocoder_runtime.__main__ import main

onnx = pytest.importorskip("onnx", reason="in the extra export")

HOP = 256
PREDICTED_HZ = 100.0
METADATA = {
    "mel": PRESETS["hifigan_22k"].model_dump_json(),
    "silence": json.dumps([-11.5] * 80),
    "lookahead_frames": "3",
    "meets": "nothing",
}


def write_graph(path: Path, **metadata: str) -> Path:
    """used_f0_hz = f0_hz or 100, waveform = used_f0_hz / 10000 + noise / 1000."""
    from onnx import TensorProto, helper

    def tensor(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    values = {"zero": 0.0, "predicted": PREDICTED_HZ, "half": 0.5, "unit": 1e-4, "quiet": 1e-3}
    constants = [helper.make_tensor(n, TensorProto.FLOAT, (), [v]) for n, v in values.items()]
    shapes = {"last": [2], "flat": [0, -1]}
    constants += [helper.make_tensor(n, TensorProto.INT64, (len(v),), v) for n, v in shapes.items()]
    steps = [
        ("Greater", ["f0_hz", "zero"], "given"),
        ("Where", ["given", "f0_hz", "predicted"], "used_f0_hz"),
        ("Less", ["voicing", "zero"], "absent"),
        ("Where", ["absent", "half", "voicing"], "used_voicing"),
        ("Unsqueeze", ["used_f0_hz", "last"], "frames"),
        ("Mul", ["frames", "unit"], "level"),
        ("Mul", ["noise", "quiet"], "breath"),
        ("Add", ["level", "breath"], "pieces"),
        ("Reshape", ["pieces", "flat"], "waveform"),
    ]
    one = ("batch", "frames")
    graph = helper.make_graph(
        [helper.make_node(kind, given, [made]) for kind, given, made in steps],
        "small",
        [
            tensor("mel", "batch", 80, "frames"),
            tensor("noise", *one, HOP),
            tensor("f0_hz", *one),
            tensor("voicing", *one),
        ],
        [
            tensor("waveform", "batch", "samples"),
            tensor("used_f0_hz", *one),
            tensor("used_voicing", *one),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, METADATA | metadata)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return write_graph(tmp_path / "small.onnx")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Half a second of noise at 22.05 kHz in two channels."""
    sound = 0.1 * np.random.default_rng(0).standard_normal((11025, 2))
    soundfile.write(tmp_path / "in.wav", sound, 22050)
    return tmp_path / "in.wav"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line of standard error with which the program ends."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("error: ")
    return printed.err


# ---- in Python -----------------------------------------------------------------------------------


def test_pitch_is_given_or_predicted(graph: Path):
    v = OnnxVocoder(graph)
    mel = np.zeros((2, 80, 5), np.float32)
    f0_hz, voicing = v.predict_pitch(mel)
    assert (f0_hz == PREDICTED_HZ).all()
    assert (voicing == 0.5).all()
    quiet = np.zeros((2, 5 * HOP))
    np.testing.assert_allclose(v(mel, noise=quiet), 0.01)
    given = np.array([[0.0, 0.0, 200.0, 200.0, 200.0]] * 2)
    waveform = v(mel, f0_hz=given, noise=quiet)
    np.testing.assert_allclose(waveform[:, : 2 * HOP], 0.01)
    np.testing.assert_allclose(waveform[:, 2 * HOP :], 0.02)


def test_noise_is_white_of_unit_power_and_of_the_seed(graph: Path):
    v = OnnxVocoder(graph)
    mel = np.zeros((1, 80, 100), np.float32)
    noise = 1000 * (v(mel, seed=1) - 0.01)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(noise[0, 1:], noise[0, :-1])[0, 1]) < 0.02
    np.testing.assert_array_equal(v(mel, seed=1), v(mel, seed=1))
    assert not np.allclose(v(mel, seed=1), v(mel, seed=2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mel": np.zeros((1, 100, 5))}, r"\(1, 100, 5\): \(batch, 80, frames\)"),
        ({"mel": np.zeros((80, 5))}, r"\(80, 5\): \(batch, 80, frames\)"),
        ({"mel": np.zeros((1, 80, 0))}, r"\(batch, 80, frames\)"),
        ({"mel": np.full((1, 80, 5), np.nan)}, "NaN"),
        ({"voicing": np.zeros(5)}, r"voicing is \(5,\): one value per mel frame"),
        ({"f0_hz": np.zeros((1, 6))}, r"f0_hz is \(1, 6\): one value per mel frame"),
        ({"f0_hz": np.full((1, 5), np.nan)}, "f0_hz is out of range: 1 to 11025 Hz"),
        ({"f0_hz": np.full((1, 5), 0.5)}, "f0_hz is out of range"),
        ({"f0_hz": np.full((1, 5), 12000.0)}, "f0_hz is out of range"),
        ({"voicing": np.full((1, 5), 2.0)}, "voicing is out of range: 0 to 1"),
        ({"noise": np.zeros((1, 5))}, r"noise is \(1, 5\): \(1, 1280\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(graph: Path, arguments: dict, message: str):
    with pytest.raises(VocoderError, match=message):
        OnnxVocoder(graph)(**({"mel": np.zeros((1, 80, 5))} | arguments))


def test_whole_utterances_are_no_stream_and_the_reverse(tmp_path: Path, graph: Path):
    with pytest.raises(VocoderError, match="vocoder export --streaming"):
        OnnxVocoder(graph).stream()
    streaming = OnnxVocoder(write_graph(tmp_path / "stream.onnx", state=""))
    for speak in (streaming, streaming.predict_pitch):
        with pytest.raises(VocoderError, match="for streams: use `stream`"):
            speak(np.zeros((1, 80, 5)))


# ---- as a program --------------------------------------------------------------------------------


def test_a_recording_is_resynthesised_with_scaled_f0(graph: Path, recording: Path, tmp_path: Path):
    frames = 11025 // HOP
    for options, expected in (((), 0.01), (("--f0-scale", "1.5", "--seed", "3"), 0.015)):
        main([str(graph), str(recording), str(tmp_path / "out.wav"), *options])
        sound, rate = soundfile.read(tmp_path / "out.wav")
        assert (rate, sound.shape) == (22050, (frames * HOP,))
        assert sound.mean() == pytest.approx(expected, abs=1e-4)


def test_files_that_cannot_be_used_are_named_in_one_line(
    graph: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out.wav"
    assert "nobody.onnx: cannot be read" in refusal(capsys, "nobody.onnx", recording, out)
    assert "in.wav: ONNX Runtime" in refusal(capsys, recording, recording, out)
    assert "nobody.wav: cannot be read as audio" in refusal(capsys, graph, "nobody.wav", out)
    assert "small.onnx: cannot be read as audio" in refusal(capsys, graph, graph, out)
    (tmp_path / "in.raw").write_bytes(bytes(100))
    message = refusal(capsys, graph, tmp_path / "in.raw", out)
    assert "in.raw: cannot be read as audio" in message
    soundfile.write(tmp_path / "fast.wav", np.zeros(100), 48000)
    message = refusal(capsys, graph, tmp_path / "fast.wav", out)
    assert "fast.wav: 48000 Hz, but the vocoder needs 22050 Hz; resample it" in message
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 22050)
    assert "empty.wav: no samples" in refusal(capsys, graph, tmp_path / "empty.wav", out)
    assert not out.exists()
    unwritable = tmp_path / "missing" / "out.wav"
    assert f"{unwritable}: cannot be written" in refusal(capsys, graph, recording, unwritable)
    assert "cannot be written" in refusal(capsys, graph, recording, tmp_path / "out.xyz")


def test_graphs_of_others_are_named_in_one_line(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    model = onnx.load(write_graph(tmp_path / "a.onnx"))
    del model.metadata_props[:]
    (tmp_path / "foreign.onnx").write_bytes(model.SerializeToString())
    message = refusal(capsys, tmp_path / "foreign.onnx", recording, tmp_path / "out.wav")
    assert "foreign.onnx: no lookahead_frames, meets, mel, silence in its metadata" in message
    newer = write_graph(tmp_path / "newer.onnx", mel='{"bark": 3}')
    message = refusal(capsys, newer, recording, tmp_path / "out.wav")
    assert "newer.onnx: the mel's bark, " in message
    broken = write_graph(tmp_path / "broken.onnx", mel="{")
    assert "broken.onnx: " in refusal(capsys, broken, recording, tmp_path / "out.wav")


@pytest.mark.parametrize("option", ["--seed", "--threads"])
def test_numbers_below_zero_are_refused(option: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(["a.onnx", "b.wav", "c.wav", option, "-1"])
    assert f"argument {option}: -1: a whole number" in capsys.readouterr().err


def test_f0_is_scaled_only_where_it_can_be(
    graph: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out.wav"
    for scale in ("0", "-1", "1000", "nan"):
        message = refusal(capsys, graph, recording, out, "--f0-scale", scale)
        assert f"--f0-scale {scale}: " in message
        assert "outside 0 to 11025 Hz" in message
    meets = write_graph(tmp_path / "meets.onnx", meets="mel")
    message = refusal(capsys, meets, recording, out, "--f0-scale", "1.2")
    assert "`vocoder export --meets envelope`" in message
    streaming = write_graph(tmp_path / "stream.onnx", state="")
    message = refusal(capsys, streaming, recording, out, "--f0-scale", "1.2")
    assert "without --streaming" in message
    assert not out.exists()


def test_the_module_is_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delitem(sys.modules, "vocoder_runtime.__main__")
    monkeypatch.setattr("sys.argv", ["vocoder_runtime", "a.onnx", "b.wav", "c.wav"])
    with pytest.raises(SystemExit, match="1"):
        runpy.run_module("vocoder_runtime", run_name="__main__")
    assert "error: a.onnx: " in capsys.readouterr().err
