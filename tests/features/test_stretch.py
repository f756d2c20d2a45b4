"""A stretched mel is that of slower or faster speech."""

import pytest
import torch

import vocoder
from tests.models.speech import seeded
from vocoder.data.audio import read_audio
from vocoder.features.mel import PRESETS
from vocoder.features.stretch import stretch_mel


@pytest.mark.parametrize("name", ["vocos_24k", "hifigan_22k", "speecht5_16k"])
@pytest.mark.parametrize("speed", [0.5, 0.8, 1.0, 1.7])
def test_an_event_comes_at_its_time_divided_by_the_speed(name, speed):
    # Sounds that fade in and out slowly, at 0.8 s and at 1.6 s of the slow or fast recording.
    spec = PRESETS[name]

    def bursts(speed: float) -> torch.Tensor:
        seconds = torch.arange(int(2.4 / speed * spec.sample_rate)) / spec.sample_rate * speed
        envelope = sum(torch.exp(-(((seconds - at) / 0.15) ** 2)) for at in (0.8, 1.6))
        noise = torch.randn(len(seconds), generator=seeded())
        return spec.mel(0.3 * (envelope * noise)[None])

    stretched, expected = stretch_mel(bursts(1.0), spec, speed), bursts(speed)
    assert abs(stretched.shape[2] - expected.shape[2]) <= 1

    def centre_s(mel: torch.Tensor, half: int) -> float:
        energy = spec.log_amplitude(mel)[0].exp().square().sum(0).chunk(2)[half]
        return float((energy * torch.arange(len(energy))).sum() / energy.sum())

    for half in (0, 1):
        hop_s = spec.hop_length / spec.sample_rate
        assert hop_s * centre_s(stretched, half) == pytest.approx(
            hop_s * centre_s(expected, half), abs=0.02
        )


def test_at_its_own_speed_it_stays_as_it_is():
    mel = torch.randn(2, 80, 31, generator=seeded())
    torch.testing.assert_close(stretch_mel(mel, PRESETS["hifigan_22k"], 1.0), mel)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames_are_stretched_too(frames):
    mel = torch.randn(1, 100, frames, generator=seeded())
    for speed, expected in ((4.0, max(int(frames / 4 + 0.5), 1)), (0.25, 4 * frames)):
        assert stretch_mel(mel, PRESETS["vocos_24k"], speed).shape == (1, 100, expected)


@pytest.mark.parametrize("speed", [0.0, -1.0, 5.0, float("nan")])
def test_other_speeds_are_refused(speed):
    with pytest.raises(ValueError, match=r"0.25 to 4.0, 1 for the mel's own"):
        stretch_mel(torch.zeros(1, 100, 5), PRESETS["vocos_24k"], speed)


@torch.inference_mode()
def test_pitch_stays(repository):
    model = vocoder.load()
    recording = read_audio(repository / "egs/tiny/wavs/test/ru_0806.wav", model.sample_rate)
    mel = model.mel(recording.waveform)
    plain, slow = (model.predict_pitch(stretch_mel(mel, model.spec, s)) for s in (1.0, 0.7))
    medians = [float(pitch.f0_hz[pitch.voicing > 0.8].log2().median()) for pitch in (plain, slow)]
    assert 1200 * abs(medians[1] - medians[0]) < 30
