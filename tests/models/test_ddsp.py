"""The DDSP autoencoder: the synthesiser by hand, lookahead, padding, sizes."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from tests.models.speech import (
    SPECS,
    decibels,
    floor_mel,
    relative_error,
    seeded,
    speech_f0,
    speech_mel,
)
from tests.oracles import dsp as oracle
from vocoder.errors import MelError, PitchError
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.models.ddsp import DDSP, DDSPConfig, exp_sigmoid

PITCH = PitchPredictorConfig(channels=16, layers=2)
SMALL = DDSPConfig(
    channels=16, mlp_layers=1, gru_channels=16, harmonics=40, reverb_seconds=0.05, pitch=PITCH
)
DRY = SMALL.model_copy(update={"reverb_seconds": 0.0})
EVERY_SPEC = pytest.mark.parametrize("spec", SPECS)


def model(spec: str = "speecht5_16k", config: DDSPConfig = SMALL, seed: int = 0) -> DDSP:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ddsp = DDSP(config, SPECS[spec]).eval()
        if ddsp.reverb_tail is not None:  # an audible room
            nn.init.normal_(ddsp.reverb_tail, std=0.02)
        nn.init.normal_(ddsp.output.weight, std=0.3)
        nn.init.constant_(ddsp.output.bias[-config.noise_bins :], 4.0)
    return ddsp


@pytest.mark.parametrize("spec", ["speecht5_16k", "hifigan_22k"])
@torch.inference_mode()
def test_the_synthesiser_is_the_sum_of_its_parts(spec):
    ddsp, mel, f0 = model(spec).double(), speech_mel(spec, 12).double(), speech_f0(spec, 12)
    rate, hop, offset = ddsp.sample_rate, ddsp.spec.hop_length, ddsp.spec.center_offset
    f0, samples = f0.double(), 12 * ddsp.spec.hop_length
    noise = ddsp.draw(1, samples, seeded(), f0)[0]
    found = ddsp.synthesise(mel, f0, torch.ones_like(f0), noise)[0]

    amplitudes, magnitudes = (x[0].numpy() for x in ddsp.controls(mel, f0))
    boundaries = oracle.at_positions(f0[0].numpy(), hop, offset, np.arange(13) * hop)
    phase = oracle.unwrapped_phase(boundaries, rate, hop)
    ends = np.concatenate([amplitudes, amplitudes[-1:]])
    lines = np.stack([oracle.line_samples(a, ddsp.step_length) for a in ends.T])
    voice = oracle.harmonic_sum(phase, oracle.line_samples(boundaries, hop), rate, lines)
    taps = np.fft.fftshift(np.fft.irfft(magnitudes), axes=1) * np.hanning(129)[:-1]
    breath = oracle.filter_frames(noise[0].numpy(), taps)
    room = np.concatenate([[1.0], ddsp.reverb_tail.numpy()])
    np.testing.assert_allclose(found, np.convolve(voice + breath, room)[:samples], atol=1e-6)
    # Each part is audible.
    assert np.std(voice) > 0.01
    assert np.std(breath) > 0.001


def test_the_curve_of_amplitudes_is_that_of_the_paper():
    x = torch.tensor([-100.0, -2.0, 0.0, 3.0, 100.0])
    expected = 2 * (1 + np.exp(-x.numpy().astype(float))) ** -np.log(10) + 1e-7
    np.testing.assert_allclose(exp_sigmoid(x), expected, rtol=1e-5)
    assert float(exp_sigmoid(torch.tensor(-100.0))) == pytest.approx(1e-7)


@torch.inference_mode()
def test_what_sounds_of_the_harmonics_has_the_amplitude_of_the_whole():
    ddsp, mel = model(), speech_mel("speecht5_16k", 10)
    totals = []
    for f0_hz in (80.0, 400.0, 1500.0):
        f0 = torch.full((1, 10), f0_hz)
        amplitudes, _ = ddsp.controls(mel, f0)
        audible = (amplitudes * ddsp._fade(f0)).sum(dim=2)
        assert float(audible.max()) <= 2 + 1e-5
        totals.append(float(audible.mean()))
        assert float(audible.min()) > 1e-3
        if f0_hz > 1000:  # no more than four of them below 7400 Hz
            assert int((ddsp._fade(f0) > 0).sum(dim=2).max()) == 4


@torch.inference_mode()
def test_nothing_sounds_near_nyquist_but_noise():
    ddsp, mel = model(config=DRY), speech_mel("speecht5_16k", 60)
    f0 = torch.full((1, 60), 310.0)
    silent = torch.zeros(1, 60 * 256)
    voice = ddsp.synthesise(mel, f0, torch.ones_like(f0), silent)[0].double()
    power = (
        torch.fft.rfft(voice * torch.hann_window(len(voice), dtype=torch.float64)).abs().square()
    )
    hertz = torch.linspace(0, 8000, len(power))
    assert decibels((power[hertz > 7600].sum() / power.sum()).sqrt()) < -70
    # Folded back, harmonics 26 and up would stand between the others.
    between = ((hertz / 310) % 1 - 0.5).abs() < 0.25
    assert decibels((power[between].sum() / power.sum()).sqrt()) < -40


@EVERY_SPEC
@torch.inference_mode()
def test_samples_are_frames_times_hop(spec):
    ddsp, mel = model(spec), speech_mel(spec, 30)
    for frames in (1, 2, 5, 17):
        waveform = ddsp(mel[:, :, 5 : 5 + frames], generator=seeded())
        assert waveform.shape == (1, frames * SPECS[spec].hop_length)
        assert waveform.isfinite().all()
        assert float(waveform.std()) > 1e-3


@EVERY_SPEC
@torch.inference_mode()
def test_padding_with_the_floor_and_neighbours_change_nothing(spec):
    ddsp, hop, lengths = model(spec), SPECS[spec].hop_length, (20, 33, 27)
    padded = floor_mel(spec, 33).repeat(3, 1, 1)
    mels = [speech_mel(spec, n, fading=False) for n in lengths]
    for row, mel in zip(padded, mels, strict=True):
        row[:, : mel.shape[2]] = mel[0]
    together = ddsp(padded, generator=[seeded(s) for s in range(3)])
    for row, (mel, n) in enumerate(zip(mels, lengths, strict=True)):
        alone = ddsp(mel, generator=[seeded(row)])
        assert relative_error(together[row : row + 1, : n * hop], alone) < 1e-4


@EVERY_SPEC
@pytest.mark.parametrize("noise_bins", [65, 300])
@torch.inference_mode()
def test_the_declared_lookahead_holds_and_is_used(spec, noise_bins):
    # Without a room, whose transform would spread rounding errors over everything.
    changes = {"noise_bins": noise_bins, "reverb_seconds": 0.0}
    ddsp, hop = model(spec, SMALL.model_copy(update=changes)), SPECS[spec].hop_length
    mel = speech_mel(spec, 40, fading=False)
    changed, at = mel.clone(), 25
    changed[:, :, at:] = changed[:, :, at:].flip(1)
    difference = ddsp(mel, generator=seeded()) - ddsp(changed, generator=seeded())
    first = int(difference[0].nonzero()[0, 0])
    assert first >= (at - ddsp.lookahead_frames) * hop
    assert first < (at - ddsp.lookahead_frames + 1) * hop


@torch.inference_mode()
def test_f0_can_be_scaled_and_noise_has_a_seed():
    ddsp, mel = model(), speech_mel("speecht5_16k", 20)
    plain = ddsp(mel, generator=seeded())
    assert torch.equal(ddsp(mel, generator=seeded()), plain)
    assert not torch.allclose(ddsp(mel, generator=seeded(1)), plain, atol=1e-4)
    assert not torch.allclose(ddsp(mel, generator=seeded(), f0_scale=1.5), plain, atol=1e-3)
    with pytest.raises(PitchError, match="F0 is"):
        ddsp(mel, f0_scale=1000.0)


def without_pitch(ddsp: DDSP) -> int:
    return ddsp.parameters_count - sum(p.numel() for p in ddsp.pitch_predictor.parameters())


def gru(inputs: int, channels: int) -> int:
    return 3 * channels * (inputs + channels + 2)


def mlp(inputs: int) -> int:
    """Three layers of 512, each with a bias and a layer norm."""
    return (inputs + 512 + 512 + 3 * 3) * 512


def test_sizes_are_those_of_the_authors_networks():
    # Counted by hand from their configurations (magenta/ddsp, papers/iclr2020), without pitch and
    # room. nsynth_ae.gin: z has 16 numbers there, 80 bands here; their encoder, a GRU of 512 over
    # 30 cepstra, adds 0.84 million to the decoder's 6.15.
    full = DDSP(DDSPConfig(reverb_seconds=0.0), SPECS["speecht5_16k"])
    decoder = 2 * mlp(1) + mlp(80) + gru(3 * 512, 512) + mlp(3 * 512) + 513 * (1 + 100 + 65)
    assert without_pitch(full) == decoder
    assert decoder - (80 - 16) * 512 + gru(30, 512) + 513 * 16 == 6_988_982
    # tiny_instrument.gin: no MLPs, a GRU of 256, 60 harmonics.
    tiny = DDSPConfig(
        mlp_layers=0, gru_channels=256, latent=False, harmonics=60, reverb_seconds=0.0
    )
    counted = gru(2, 256) + (2 + 256 + 1) * (1 + 60 + 65)
    assert without_pitch(DDSP(tiny, SPECS["speecht5_16k"])) == counted == 232_314


def test_saved_and_loaded_it_sounds_the_same(tmp_path):
    ddsp, other, mel = model(), model(seed=1), speech_mel("speecht5_16k", 20)
    save_file(ddsp.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert set(ddsp.state_dict()) == {name for name, _ in ddsp.named_parameters()}
    with torch.inference_mode():
        assert torch.equal(ddsp(mel, generator=seeded()), other(mel, generator=seeded()))


def test_pitch_is_predicted_from_a_mel_of_any_type_and_of_the_right_shape():
    ddsp, mel = model(), speech_mel("speecht5_16k", 20)
    expected, found = ddsp.predict_pitch(mel), ddsp.predict_pitch(mel.double())
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    with pytest.raises(MelError, match="79 bins"):
        ddsp.predict_pitch(torch.zeros(1, 79, 5))


def test_bad_input_is_refused():
    with pytest.raises(MelError, match="79 bins"):
        model()(torch.zeros(1, 79, 5))
    with pytest.raises(MelError, match="hop_length 256 is no multiple of steps_per_frame 3"):
        model(config=SMALL.model_copy(update={"steps_per_frame": 3}))
    with pytest.raises(ValidationError, match="of which mlp_layers: 0 has none"):
        DDSPConfig(mlp_layers=0, channels=128)
