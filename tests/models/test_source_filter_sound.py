"""What a source-filter vocoder sounds like untrained: levels, times, frequencies, mel and pitch."""

import math

import pytest
import torch

from tests.models.speech import (
    SMALL,
    SPECS,
    decibels,
    floor_mel,
    new_model,
    random_controls,
    relative_error,
    seeded,
    small_model,
    speech_f0,
    speech_mel,
)
from vocoder.features.mel import PRESETS

EVERY_SPEC = pytest.mark.parametrize("spec", SPECS)

# ---- levels and places ---------------------------------------------------------------------------


@EVERY_SPEC
@pytest.mark.parametrize("seed", [0, 1, 2])
@torch.inference_mode()
def test_silence_stays_silent(spec, seed):
    model, frames = small_model(spec, seed), 40
    for voicing in (0.0, 1.0):
        waveform = model(
            floor_mel(spec, frames), voicing=torch.full((1, frames), voicing), generator=seeded()
        )
        assert decibels(waveform.square().mean().sqrt()) < -90


@torch.inference_mode()
def test_a_convention_with_a_loud_floor_is_as_quiet_as_it_can_be():
    # Coqui's mel ends at -80 dB: nobody can tell silence from what is quieter than that.
    spec = PRESETS["coqui_22k"]
    mel = torch.full((1, spec.n_mels, 40), float(spec.log_floor))
    waveform = new_model(spec)(mel, generator=seeded())
    assert -90 < decibels(waveform.square().mean().sqrt()) < -75


@EVERY_SPEC
@torch.inference_mode()
def test_a_louder_mel_is_a_louder_waveform(spec):
    model, mel, controls = small_model(spec), speech_mel(spec, 40, False), random_controls(spec, 40)
    soft = model(mel, **controls)
    # Six decibels more in the unit of this spec: the logarithm of twice the amplitude.
    unit = model.spec.log_amplitude(mel + 1.0) - model.spec.log_amplitude(mel)
    loud = model(mel + math.log(2) / unit, **controls)
    assert decibels(loud.std() / soft.std()) == pytest.approx(6.02, abs=0.2)
    assert relative_error(loud, 2 * soft) < 0.05


@EVERY_SPEC
@torch.inference_mode()
def test_noise_comes_out_at_the_level_of_its_mel(spec):
    # An untrained model's harmonic filter is the mel's envelope, its noise filter 1 neper less.
    model, frames, hop = small_model(spec), 120, SPECS[spec].hop_length
    noise = 0.1 * torch.randn(1, frames * hop, generator=seeded(3))
    mel = model.spec.mel(noise)[:, :, :frames]
    controls = random_controls(spec, frames)
    inside = slice(4 * hop, -4 * hop)
    level = {}
    for name, voicing, gain in (("noise", 0.0, 1.0), ("pulses", 1.0, 0.0), ("corrected", 0.0, 1.0)):
        waveform = model(
            mel,
            meets="mel" if name == "corrected" else "nothing",
            f0_hz=controls["f0_hz"],
            voicing=torch.full((1, frames), voicing),
            noise=gain * controls["noise"],
        )
        level[name] = decibels(waveform[:, inside].std() / noise[:, inside].std())
    assert level["noise"] == pytest.approx(-8.69, abs=0.4)
    assert level["pulses"] == pytest.approx(0.0, abs=0.4)
    assert level["corrected"] == pytest.approx(0.0, abs=0.4)


@EVERY_SPEC
@torch.inference_mode()
def test_the_mel_correction_brings_the_output_nearer_to_its_mel(spec):
    model, frames = small_model(spec), 60
    mel, f0_hz = speech_mel(spec, frames, fading=False), speech_f0(spec, frames)
    voicing, distance = torch.ones(1, frames), {}
    for corrected in (False, True):
        meets = "mel" if corrected else "nothing"
        waveform = model(mel, f0_hz, voicing, meets=meets, generator=seeded())
        own = model.log_gain(model.spec.mel(waveform)[:, :, :frames])
        inside = slice(4, -4)
        error = (own - model.log_gain(mel))[:, inside].abs()
        distance[corrected] = decibels(error.mean().exp())
    assert distance[True] < 0.6 * distance[False]
    assert distance[True] < 1.5


@EVERY_SPEC
@torch.inference_mode()
def test_the_mel_correction_is_bounded(spec):
    # Filters that are half a neper too quiet are made good; of five nepers, two.
    model, frames, hop = small_model(spec), 40, SPECS[spec].hop_length
    noise = 0.1 * torch.randn(1, frames * hop, generator=seeded(3))
    padded = model.pad_context(model.spec.mel(noise)[:, :, :frames])
    gain, controls = model.log_gain(padded), random_controls(spec, frames)
    left = model.context[0]
    wanted = gain[:, left : left + frames]
    exact = model.controls(gain)
    pitch = controls["f0_hz"], torch.zeros(1, frames), controls["noise"]

    def level(missing_nepers: float, corrected: bool) -> float:
        quieter = exact._replace(noise_gain=exact.noise_gain + 1 - missing_nepers)
        mel_gain = wanted if corrected else None
        waveform = model.synthesis(quieter, *pitch, mel_gain=mel_gain)
        return decibels(waveform[:, 4 * hop : -4 * hop].std() / noise.std())

    assert level(0.5, corrected=True) == pytest.approx(0.0, abs=0.4)
    assert level(5.0, corrected=False) == pytest.approx(-43.4, abs=0.6)
    assert level(5.0, corrected=True) == pytest.approx(-43.4 + 17.4, abs=0.6)


@EVERY_SPEC
@torch.inference_mode()
def test_sounds_stay_at_their_time_and_frequency(spec):
    model, frames, hop, rate = (
        small_model(spec),
        60,
        SPECS[spec].hop_length,
        SPECS[spec].sample_rate,
    )
    samples = frames * hop
    for start, low_hz in ((20.0, 1000), (27.37, 3000), (33.5, 5000)):
        spectrum = torch.fft.rfft(torch.randn(1, samples, generator=seeded(2)))
        hertz = torch.fft.rfftfreq(samples, 1 / rate)
        spectrum[:, (hertz < low_hz) | (hertz > low_hz + 1000)] = 0
        burst = 0.3 * torch.fft.irfft(spectrum, n=samples)
        begin = round(start * hop)
        burst[:, :begin] = 0
        burst[:, begin + 6 * hop :] = 0
        noise = torch.randn(8, samples, generator=seeded(4))
        mel = model.spec.mel(burst)[:, :, :frames].expand(8, -1, -1)
        waveform = model(mel, voicing=torch.zeros(8, frames), noise=noise)
        centres = [
            float((energy * torch.arange(samples)).sum() / energy.sum() / hop)
            for energy in (burst[0].square(), waveform.square().mean(dim=0))
        ]
        assert centres[1] == pytest.approx(centres[0], abs=0.3)
        power = torch.fft.rfft(waveform).abs().square().mean(dim=0)
        band = (hertz > low_hz - 200) & (hertz < low_hz + 1200)
        assert power[band].sum() / power.sum() > 0.9


@EVERY_SPEC
@pytest.mark.parametrize("steps_per_frame", [1, 2, 4])
@torch.no_grad()
def test_filters_stand_where_their_mel_does(spec, steps_per_frame):
    # Gains that rise evenly in time: filter s, at s / steps_per_frame of a hop, has that of then.
    model = new_model(SPECS[spec], SMALL.model_copy(update={"steps_per_frame": steps_per_frame}))
    model.filter_network.output.weight.zero_()
    frames, (left, right) = 20, model.context
    centres = torch.arange(-left, frames + right) * model.spec.hop_length + model.spec.center_offset
    gain = (1e-3 * centres)[None, :, None].expand(1, -1, model.spec.n_mels)
    expected = (
        1e-3 * torch.arange(frames * steps_per_frame) * model.spec.hop_length / steps_per_frame
    )
    found = model.controls(gain)
    for control, offset in ((found.harmonic_gain, 0.0), (found.noise_gain, -1.0)):
        torch.testing.assert_close(
            control[0], (expected + offset)[:, None].expand_as(control[0]), atol=1e-4, rtol=0
        )


@EVERY_SPEC
@torch.inference_mode()
def test_filters_have_the_frequencies_of_their_mel(spec):
    # A band that stands out alone: the filters are highest at its centre.
    model = new_model(SPECS[spec])
    model.filter_network.output.weight.zero_()
    bank = model.spec.filterbank()
    for band in range(3, model.spec.n_mels - 3, 7):
        gain = torch.full((1, sum(model.context) + 5, model.spec.n_mels), -5.0)
        gain[..., band] = 0.0
        highest = int(model.controls(gain).harmonic_gain[0, 5].argmax())
        hertz = highest * model.sample_rate / model.synthesis.n_fft
        centre = int(bank[band].argmax()) * model.sample_rate / model.spec.n_fft
        assert abs(hertz - centre) <= model.sample_rate / model.synthesis.n_fft


@EVERY_SPEC
@torch.inference_mode()
def test_no_voice_means_noise_only(spec):
    model, mel, controls = small_model(spec), speech_mel(spec, 30), random_controls(spec, 30)
    controls["voicing"] = torch.zeros(1, 30)
    assert model(mel, **controls).abs().max() > 1e-3
    controls["noise"] = torch.zeros_like(controls["noise"])
    assert not model(mel, **controls).any()


# ---- pitch ---------------------------------------------------------------------------------------


def measured_f0_hz(waveform: torch.Tensor, sample_rate: int) -> float:
    """From the first high peak of the autocorrelation, between samples by a parabola."""
    x = waveform.double() * torch.hann_window(len(waveform), dtype=torch.float64)
    n = 2 * len(x)
    correlation = torch.fft.irfft(torch.fft.rfft(x, n).abs().square(), n)[: len(x) // 4]
    first = sample_rate // 400
    highest = correlation[first:].max()
    # The first that comes near: a multiple of the period is one, too.
    near = first + int((correlation[first:] > 0.5 * highest).nonzero()[0])
    lag = near + int(correlation[near : near + first // 4].argmax())
    a, b, c = correlation[lag - 1 : lag + 2]
    return sample_rate / float(lag + 0.5 * (a - c) / (a - 2 * b + c))


@EVERY_SPEC
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.5, 2.0])
@torch.inference_mode()
def test_f0_is_scaled(spec, seed, scale):
    # A steady mel without ripples of a voice's own.
    model, frames, hop = small_model(spec, seed), 50, SPECS[spec].hop_length
    hiss = model.spec.mel(0.1 * torch.randn(1, 100 * hop, generator=seeded(3)))
    waveform = model(
        hiss.mean(dim=2, keepdim=True).expand(-1, -1, frames),
        f0_hz=torch.full((1, frames), 150.0),
        voicing=torch.ones(1, frames),
        f0_scale=scale,
        generator=seeded(),
    )
    found = measured_f0_hz(waveform[0, 15 * hop : 30 * hop], model.sample_rate)
    assert found == pytest.approx(150 * scale, rel=0.01)


@torch.inference_mode()
def test_predicted_f0_is_scaled_and_is_what_sounds():
    model, frames = small_model("speecht5_16k"), 30
    mel = speech_mel("speecht5_16k", frames)
    predicted = model.estimate_pitch(model.log_gain(model.pad_context(mel)))
    noise = torch.randn(1, frames * 256, generator=seeded())
    given = {"f0_hz": 0.8 * predicted.f0_hz, "voicing": predicted.voicing, "noise": noise}
    expected = model(mel, **given, meets="envelope")
    # But for the last boundary, after which a given F0 is held.
    found = model(mel, f0_scale=0.8, noise=noise)
    inside = slice(0, -3 * 256)
    assert relative_error(found[:, inside], expected[:, inside]) < 0.01
    assert relative_error(model(mel, noise=noise)[:, inside], expected[:, inside]) > 0.1
