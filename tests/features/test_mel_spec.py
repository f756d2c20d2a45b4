"""MelSpec: times, lengths, gradients, conversion, identity and refusals."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import torch
from pydantic import ValidationError

import vocoder.features.mel as mel_module
from vocoder.errors import MelError
from vocoder.features import PRESETS, MelSpec

ROOT = Path(__file__).parents[2]
DEFAULT = PRESETS["speecht5_16k"]
SMALL = MelSpec(
    sample_rate=8000, n_fft=64, hop_length=16, win_length=64, n_mels=8, f_min=0.0, f_max=4000.0
)


def change(spec: MelSpec, **fields) -> MelSpec:
    return MelSpec.model_validate({**spec.model_dump(), **fields})


@pytest.fixture
def waveform(speech):
    return torch.from_numpy(speech(16000))[None]


# ---- lengths and times ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["speecht5_16k", "hifigan_22k", "espnet_24k", "cosyvoice2_24k"])
def test_frames_is_the_length_of_every_mel(name):
    spec = PRESETS[name]
    hop = spec.hop_length
    for samples in (1, hop - 1, hop, hop + 1, 2 * hop, spec.n_fft // 2, spec.n_fft, 9 * hop + 5):
        assert spec.mel(torch.zeros(1, samples)).shape[2] == spec.frames(samples)
    assert spec.frames(9 * hop + 5) == (10 if spec.padding == "center" else 9)
    assert spec.frames(1) == 1


@pytest.mark.parametrize("name", ["speecht5_16k", "hifigan_22k"])
def test_short_input_is_followed_by_zeros(name):
    spec = PRESETS[name]
    for samples in (5, spec.hop_length, 384):
        short = torch.randn(1, samples, generator=torch.Generator().manual_seed(0)) * 0.1
        followed = spec.mel(torch.nn.functional.pad(short, (0, 4 * spec.n_fft)))
        mel = spec.mel(short)
        torch.testing.assert_close(mel, followed[..., : mel.shape[2]], rtol=0.0, atol=1e-5)
        assert mel[..., 0].max() > spec.log_floor + 1.0


@pytest.mark.parametrize("name", ["speecht5_16k", "hifigan_22k", "espnet_24k", "cosyvoice2_24k"])
def test_frames_are_centred_where_the_spec_says(name):
    """A click at the centre of frame 10 is as loud in frame 9 as in frame 11, and loudest in 10."""
    spec = PRESETS[name]
    waveform = torch.zeros(1, 20 * spec.hop_length, dtype=torch.float64)
    waveform[0, 10 * spec.hop_length + spec.center_offset] = 1.0
    mel = spec.mel(waveform)[0]
    torch.testing.assert_close(mel[:, 9], mel[:, 11], rtol=0.0, atol=1e-9)
    assert (mel[:, 10] > mel[:, 9] + 0.1).all()
    later = spec.mel(waveform.roll(1, dims=1))[0]
    assert (later[:, 11] > later[:, 9]).all()


def test_blocks_of_frames_change_nothing(waveform, monkeypatch):
    for spec in (DEFAULT, change(DEFAULT, padding="same")):
        whole = spec.mel(waveform)
        monkeypatch.setattr(mel_module, "_BLOCK_FRAMES", 7)
        torch.testing.assert_close(spec.mel(waveform), whole, rtol=0.0, atol=1e-12)
        monkeypatch.undo()


def test_batch_is_each_alone(waveform):
    both = torch.cat([waveform, waveform.flip(1)])
    alone = torch.cat([DEFAULT.mel(waveform), DEFAULT.mel(waveform.flip(1))])
    torch.testing.assert_close(DEFAULT.mel(both), alone, rtol=0.0, atol=1e-10)


# ---- precision, gradients, caches ----------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"power": 2, "log": "db"},
        {"padding": "same", "magnitude_eps": 1e-9},
        {"pre_emphasis": 0.9, "mel_scale": "htk", "mel_norm": "none", "mean": -1.0, "scale": 2.0},
    ],
)
def test_gradient(fields):
    generator = torch.Generator().manual_seed(3)
    waveform = torch.randn(1, 80, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(change(SMALL, **fields).mel, (waveform,))


def test_gradient_of_silence_is_finite():
    waveform = torch.zeros(1, 2048, requires_grad=True)
    DEFAULT.mel(waveform).sum().backward()
    assert torch.isfinite(waveform.grad).all()


def test_half_precision_and_autocast_keep_the_energies(waveform):
    exact = DEFAULT.mel(waveform.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(DEFAULT.mel(waveform.float()), exact, rtol=0.0, atol=1e-6)
    half = DEFAULT.mel(waveform.bfloat16())
    assert half.dtype == torch.bfloat16


def test_caches_filled_in_inference_mode_serve_training():
    spec = change(SMALL, f_max=3210.0)  # an unused cache entry
    with torch.inference_mode():
        spec.mel(torch.ones(1, 100))
    waveform = torch.ones(1, 100, requires_grad=True)
    spec.mel(waveform).sum().backward()
    assert waveform.grad.abs().sum() > 0


def test_filterbank_can_be_changed_by_its_caller_only():
    before = SMALL.filterbank()
    SMALL.filterbank().zero_()
    assert torch.equal(SMALL.filterbank(), before)
    assert before.sum() > 0


def test_pre_emphasis_is_a_first_difference(waveform):
    emphasised = scipy.signal.lfilter([1.0, -0.85], [1.0], waveform[0].numpy())
    expected = DEFAULT.mel(torch.from_numpy(emphasised)[None])
    mel = change(DEFAULT, pre_emphasis=0.85).mel(waveform)
    torch.testing.assert_close(mel, expected, rtol=0.0, atol=1e-9)
    assert (mel - DEFAULT.mel(waveform)).abs().max() > 0.1


# ---- units ---------------------------------------------------------------------------------------


def test_power_and_decibels_against_numpy(waveform):
    amplitude = 10.0 ** DEFAULT.mel(waveform)
    decibels = change(DEFAULT, log="db").mel(waveform)
    torch.testing.assert_close(decibels, 20 * amplitude.log10(), rtol=0.0, atol=1e-9)
    spectrum = torch.stft(
        torch.nn.functional.pad(waveform, (512, 512), mode="reflect"),
        1024,
        256,
        window=torch.hann_window(1024, dtype=torch.float64),
        center=False,
        return_complex=True,
    )
    power = (DEFAULT.filterbank() @ spectrum.abs().square()).clamp(min=1e-10)
    spec = change(DEFAULT, log="db", power=2)
    torch.testing.assert_close(spec.mel(waveform), 10 * power.log10(), rtol=0.0, atol=1e-8)
    torch.testing.assert_close(
        spec.log_amplitude(spec.mel(waveform)), 0.5 * power.log(), rtol=0.0, atol=1e-8
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"log": "ln"},
        {"log": "db", "mean": -30.0, "scale": 12.5},
        {"mean": tuple(float(m) for m in range(80)), "scale": tuple([0.5] * 40 + [2.0] * 40)},
    ],
)
def test_log_amplitude_undoes_log_and_normalisation(fields, waveform):
    spec = change(DEFAULT, **fields)
    expected = DEFAULT.mel(waveform) * math.log(10.0)
    torch.testing.assert_close(
        spec.log_amplitude(spec.mel(waveform)), expected, rtol=0.0, atol=1e-9
    )


def test_log_floor_per_bin_and_of_an_audible_epsilon():
    spec = DEFAULT.with_statistics(mean=np.linspace(-3, -1, 80), scale=np.linspace(0.5, 1.5, 80))
    silence = spec.mel(torch.zeros(1, 4096))
    assert isinstance(spec.log_floor, torch.Tensor)
    torch.testing.assert_close(silence, spec.log_floor[None, :, None].expand_as(silence))
    loud = change(DEFAULT, magnitude_eps=1e-6)
    silence = loud.mel(torch.zeros(1, 4096))
    assert silence.min() > DEFAULT.log_floor + 1.0
    torch.testing.assert_close(silence, loud.log_floor[None, :, None].expand_as(silence))


def test_statistics_normalise(waveform):
    mel = DEFAULT.mel(waveform)[0]
    spec = DEFAULT.with_statistics(mel.mean(dim=1).tolist(), mel.std(dim=1).tolist())
    normalised = spec.mel(waveform)[0]
    torch.testing.assert_close(normalised.mean(dim=1), torch.zeros(80, dtype=torch.float64))
    torch.testing.assert_close(normalised.std(dim=1), torch.ones(80, dtype=torch.float64))


@pytest.mark.parametrize(
    ("mean", "scale", "message"),
    [
        ([0.0] * 79, [1.0] * 80, "mean has 79 values for 80 bins"),
        ([0.0] * 80, [1.0] * 79 + [0.0], "scale must be positive"),
        ([math.nan] * 80, [1.0] * 80, "mean must be finite"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(mean, scale, message):
    with pytest.raises(MelError, match=message) as error:
        DEFAULT.with_statistics(mean, scale)
    assert "\n" not in str(error.value)


# ---- conversion ----------------------------------------------------------------------------------

STATISTICS = {
    "mean": tuple(-3.0 + 0.02 * i for i in range(80)),
    "scale": tuple(0.5 + 0.01 * i for i in range(80)),
}
CONVERTIBLE = [
    ({}, {"log": "ln"}),
    ({"log": "ln"}, {"log": "db"}),
    ({"power": 2}, {"power": 2, "log": "db"}),
    ({}, STATISTICS),
    (STATISTICS, {"log": "db", "mean": -30.0, "scale": 12.5}),
    ({}, {"floor": 1e-2}),
    ({"log": "db"}, {"log": "ln", "floor": 1e-3, "clip_max": 1.0}),
    ({}, {"log": "db", "mean": -30.0, "scale": 12.5, "clip_min": -4.0, "clip_max": 4.0}),
    ({"clip_min": -4.0, "clip_max": 4.0}, {"clip_min": -2.0, "clip_max": 1.0}),
    ({"clip_min": -2.0}, {"floor": 1e-2, "log": "ln"}),
]


@pytest.mark.parametrize(("from_fields", "to_fields"), CONVERTIBLE)
def test_conversion_is_what_the_other_spec_would_have_computed(from_fields, to_fields, waveform):
    spec, to = change(DEFAULT, **from_fields), change(DEFAULT, **to_fields)
    converted = spec.convert(spec.mel(waveform), to)
    torch.testing.assert_close(converted, to.mel(waveform), rtol=0.0, atol=1e-9)
    assert not torch.equal(to.mel(waveform), spec.mel(waveform))


def test_conversion_to_the_same_spec_is_the_mel_itself(waveform):
    mel = DEFAULT.mel(waveform)
    assert DEFAULT.convert(mel, change(DEFAULT)) is mel


@pytest.mark.parametrize(
    ("from_fields", "to_fields", "named"),
    [
        ({}, {"floor": 1e-12}, "floor: 1e-10 here, 1e-12 there"),
        ({}, {"power": 2}, "power: 1 here, 2 there"),
        ({}, {"f_max": 8000.0, "log": "ln"}, "f_max: 7600 here, 8000 there"),
        ({}, {"mel_scale": "htk"}, "mel_scale: slaney here, htk there"),
        ({}, {"padding": "same"}, "padding: center here, same there"),
        ({"clip_max": 1.0}, {"clip_max": 2.0}, "clip_max: 1 here, 2 there"),
        ({"clip_min": -2.0}, {}, "clip_min: -2 here, None there"),
    ],
)
def test_inexact_conversion_is_refused_by_name(from_fields, to_fields, named, waveform):
    spec, to = change(DEFAULT, **from_fields), change(DEFAULT, **to_fields)
    with pytest.raises(MelError, match="compute it again from the waveform") as error:
        spec.convert(spec.mel(waveform), to)
    assert named in str(error.value)
    assert "log:" not in str(error.value)
    assert "\n" not in str(error.value)


# ---- identity ------------------------------------------------------------------------------------


def test_equal_specs_are_equal_keys():
    assert change(DEFAULT) == DEFAULT
    assert hash(change(DEFAULT)) == hash(DEFAULT)
    with pytest.raises(ValidationError):
        DEFAULT.n_mels = 81
    with pytest.raises(ValidationError, match="n_mel"):
        change(DEFAULT, n_mel=80)


@pytest.mark.slow
def test_fingerprint_is_the_same_in_another_process():
    code = "from vocoder.features import PRESETS; print(PRESETS['coqui_22k'].fingerprint)"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert other.stdout.strip() == PRESETS["coqui_22k"].fingerprint


def test_fingerprint_is_stable_and_sees_every_field():
    assert DEFAULT.fingerprint == "9a11b37ab94b"
    changes = {
        "sample_rate": 17000, "n_fft": 2048, "hop_length": 128, "win_length": 512, "n_mels": 81,
        "f_min": 81.0, "f_max": 7601.0, "mel_scale": "htk", "mel_norm": "none", "power": 2,
        "log": "ln", "floor": 1e-9, "padding": "same", "magnitude_eps": 1e-9, "pre_emphasis": 0.5,
        "mean": 1.0, "scale": 2.0, "clip_min": -9.0, "clip_max": 9.0,
    }  # fmt: skip
    assert set(changes) | {"window"} == set(MelSpec.model_fields)
    prints = {change(DEFAULT, **{name: value}).fingerprint for name, value in changes.items()}
    assert len(prints | {DEFAULT.fingerprint}) == len(changes) + 1


def test_differences_are_named():
    other = change(DEFAULT, f_max=8000.0, log="ln")
    assert other.describe_difference(DEFAULT) == [
        "f_max: 8000 here, 7600 there",
        "log: ln here, log10 there",
    ]
    assert DEFAULT.describe_difference(DEFAULT) == []
    a = DEFAULT.with_statistics([0.0] * 80, [1.0] * 80)
    (line,) = a.describe_difference(DEFAULT.with_statistics([0.0] * 80, [1.0] * 79 + [2.0]))
    here, there = line.removeprefix("scale: ").split(", ")
    assert here.startswith("80 values")
    assert here.split(" here")[0] != there.split(" there")[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"f_max": 8001.0}, "above Nyquist"),
        ({"f_min": 7600.0}, "not below f_max"),
        ({"win_length": 1025}, "longer than n_fft"),
        ({"hop_length": 1025}, "exceeds win_length"),
        ({"padding": "same", "hop_length": 255}, "even n_fft - hop_length"),
        ({"mean": (0.0, 1.0)}, "mean has 2 values for 80 bins"),
        ({"mean": float("nan")}, "mean must be finite"),
        ({"scale": 0.0}, "scale must be positive"),
        ({"clip_min": 1.0, "clip_max": -1.0}, "clip_min 1 is not below clip_max -1"),
        ({"floor": 0.0}, "floor"),
        ({"hop_length": 0}, "hop_length"),
        ({"log": "log2"}, "log"),
    ],
)
def test_impossible_specs_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        change(DEFAULT, **fields)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (torch.zeros(100), r"\(batch, samples\).*\(100,\).*waveform\[None\]"),
        (torch.zeros(1, 2, 100), r"\(1, 2, 100\)"),
        (torch.zeros(1, 0), "empty"),
        (torch.zeros(0, 100), "empty"),
        (torch.zeros(1, 100, dtype=torch.int16), "int16"),
        (torch.tensor([[0.0, 0.0, math.nan]]), "NaN or infinite.*sample 2"),
        (torch.tensor([[0.0, math.inf, 0.0]]), "NaN or infinite.*sample 1"),
    ],
)
def test_bad_waveforms_are_refused(waveform, message):
    with pytest.raises(MelError, match=message):
        DEFAULT.mel(waveform)


def test_no_samples_have_no_frames():
    with pytest.raises(MelError, match="empty"):
        DEFAULT.frames(0)


@pytest.mark.parametrize(
    ("mel", "message"),
    [
        (torch.zeros(80, 10), r"\(80, 10\)"),
        (torch.zeros(1, 100, 10), "100 bins, the spec has 80"),
        (torch.zeros(1, 80, 0), "empty"),
        (torch.zeros(1, 80, 10, dtype=torch.int64), "int64"),
        (torch.zeros(1, 80, 10).index_fill(2, torch.tensor([4]), math.nan), "frame 4"),
    ],
)
def test_bad_mels_are_refused(mel, message):
    with pytest.raises(MelError, match=message) as error:
        DEFAULT.check(mel)
    assert "\n" not in str(error.value)
    with pytest.raises(MelError, match=message):
        DEFAULT.convert(mel, change(DEFAULT, log="ln"))


def test_mel_of_another_spec_is_refused():
    mel = torch.zeros(1, 80, 10)
    DEFAULT.check(mel, from_spec=change(DEFAULT))
    with pytest.raises(MelError, match=r"f_max: 7600 here, 8000 there.*convert"):
        DEFAULT.check(mel, from_spec=change(DEFAULT, f_max=8000.0))


def test_channels_are_no_batch():
    spec = PRESETS["vocos_24k"]
    with pytest.raises(MelError, match=r"\(2000, 2\), which looks like \(samples, channels\)"):
        spec.mel(torch.zeros(2000, 2))
    assert spec.mel(torch.zeros(2, 2000)).shape[0] == 2
