"""The neural source-filter model: its source, its filters, batches, chunks, sizes, training."""

import math

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.models.speech import SPECS, relative_error, seeded, speech_mel
from vocoder.errors import MelError, PitchError
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.models.nsf import NSF, NSFConfig, _FilterBlock

pytestmark = pytest.mark.slow

PITCH = PitchPredictorConfig(channels=16, layers=2)
SMALL = NSFConfig(channels=8, blocks=2, layers=4, noise_layers=3, condition_channels=8, pitch=PITCH)
RATE, HOP = 16000, 256


def model(spec: str = "speecht5_16k", config: NSFConfig = SMALL, seed: int = 0) -> NSF:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return NSF(config, SPECS[spec]).eval()


def source(f0_hz: float, frames: int, voicing: float = 1.0, **options: float) -> Tensor:
    """The sines of a constant F0 in float64, (harmonics, samples), every phase zero at sample 0."""
    nsf = model(config=SMALL.model_copy(update=options)).double()
    harmonics = nsf.config.harmonics
    f0 = torch.full((1, frames), f0_hz, dtype=torch.float64)
    noise = torch.randn(1, harmonics + 1, frames * HOP, generator=seeded(), dtype=torch.float64)
    phases = torch.zeros(1, harmonics, dtype=torch.float64)
    return nsf.source(f0, torch.full_like(f0, voicing), phases, noise)[0]


# ---- the source ----------------------------------------------------------------------------------


def test_each_sine_stands_on_its_harmonic():
    sines = source(250.0, 125, noise_deviation=0.0)  # two seconds: lines on whole bins
    spectrum = torch.fft.rfft(sines).abs() / 16000
    for k, row in enumerate(spectrum, 1):
        assert int(row.argmax()) == 500 * k
        assert float(row[500 * k]) == pytest.approx(0.1, rel=1e-9)
        row[500 * k] = 0
        assert float(row.max()) < 1e-10


@pytest.mark.parametrize("f0_hz", [70.0, 123.456, 310.0, 499.0])
def test_its_power_does_not_depend_on_f0(f0_hz):
    power = source(f0_hz, 300).square().mean(dim=1)
    assert power.tolist() == pytest.approx([0.1**2 / 2 + 0.003**2] * 8, rel=0.01)


def test_unvoiced_it_is_noise_of_a_third_of_the_amplitude():
    noise = source(120.0, 300, voicing=0.2)
    assert noise.std(dim=1).tolist() == pytest.approx([0.1 / 3] * 8, rel=0.02)
    # Without any line.
    spectrum = torch.fft.rfft(noise[0]).abs().square()
    assert float(spectrum.max() / spectrum.mean()) < 20


def test_nothing_sounds_from_the_top_on():
    sines = source(1300.0, 125, noise_deviation=0.0)
    assert sines[5:].abs().max() == 0  # 7800 Hz and beyond: above 7400 Hz
    assert sines[:5].square().mean(dim=1).tolist() == pytest.approx(
        [0.005] * 4 + [0.69**2 / 200], rel=0.02
    )


def test_the_phase_does_not_drift():
    # A quarter of an hour in single precision, its last frames against exact arithmetic.
    frames, f0_hz = 15 * 60 * RATE // HOP, 123.456
    nsf = model(config=SMALL.model_copy(update={"harmonics": 1, "noise_deviation": 0.0}))
    f0 = torch.full((1, frames), f0_hz)
    sine = nsf.source(f0, torch.ones_like(f0), torch.zeros(1, 1), torch.zeros(1, 1, frames * HOP))
    samples = torch.arange((frames - 4) * HOP, frames * HOP, dtype=torch.float64)
    expected = 0.1 * torch.sin(2 * math.pi * float(f0[0, 0]) / RATE * samples)
    assert relative_error(sine[0, 0, -4 * HOP :].double(), expected) < 1e-4


def test_harmonics_begin_at_the_phases_that_were_drawn():
    nsf = model()
    phases, noise = nsf.draw(2, 10 * HOP, seeded(), torch.empty(0))
    assert phases.shape == (2, 8)
    assert noise.shape == (2, 9, 10 * HOP)
    assert not phases[:, 0].any()
    assert 0 < float(phases[:, 1:].min()) < float(phases[:, 1:].max()) < 1
    f0 = torch.full((2, 10), 100.0)
    sines = nsf.source(f0, torch.ones_like(f0), phases, 0 * noise)
    torch.testing.assert_close(sines[:, :, 0], 0.1 * torch.sin(2 * math.pi * phases))


# ---- the filters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "kernel"), [(1, 3), (4, 3), (3, 2)])
def test_a_block_is_causal_and_sees_as_far_as_it_says(layers, kernel):
    sizes = {"blocks": 1, "layers": layers, "noise_layers": 1, "kernel_size": kernel}
    nsf = model(config=SMALL.model_copy(update=sizes)).double()
    signal = torch.randn(1, 1, 80, generator=seeded(), dtype=torch.float64, requires_grad=True)
    features = torch.zeros(1, 8, 80, dtype=torch.float64)
    nsf.harmonic_blocks[0](signal, features)[0, 0, 60].backward()
    seen = signal.grad[0, 0].nonzero()[:, 0]
    assert int(seen.max()) == 60
    assert int(seen.min()) == 60 - nsf.receptive_field


def test_a_block_is_the_recursion_of_the_paper():
    torch.manual_seed(0)
    block = _FilterBlock(SMALL, 3)
    x, c = torch.randn(1, 1, 30), torch.randn(1, 8, 30)
    weights = [p.detach() for p in block.parameters()]
    hidden = torch.tanh(weights[0][:, :, 0] @ x[0])
    for layer, weight in enumerate(weights[1:4]):
        result = torch.zeros(8, 30)
        for n in range(30):
            for tap in range(3):
                past = n - (2 - tap) * 2**layer
                if past >= 0:
                    result[:, n] += weight[:, :, tap] @ hidden[:, past]
        hidden = hidden + torch.tanh(result) + c[0]
    hidden = torch.tanh(weights[4][:, :, 0] @ (0.1 * hidden))
    expected = x[0] + torch.tanh(weights[5][:, :, 0] @ hidden)
    torch.testing.assert_close(block(x, c)[0], expected)


@pytest.mark.parametrize("trainable", [True, False])
def test_the_cutoff_lies_where_voicing_puts_it(trainable):
    nsf = model(config=SMALL.model_copy(update={"trainable_cutoff": trainable}))
    mel = speech_mel("speecht5_16k", 40)
    voicing = (torch.arange(40) % 10 < 5).float()[None]
    with torch.no_grad():
        features, cutoff = nsf.features(mel, torch.full((1, 40), 150.0), voicing)
    assert features.shape == (1, 40, 8)
    voiced, unvoiced = cutoff[voicing > 0], cutoff[voicing == 0]
    if trainable:
        assert 0.5 < float(voiced.min()) < float(voiced.max()) < 0.9
        assert 0.1 < float(unvoiced.min()) < float(unvoiced.max()) < 0.5
    else:
        torch.testing.assert_close(voiced, torch.full_like(voiced, 0.7))
        torch.testing.assert_close(unvoiced, torch.full_like(unvoiced, 0.3))
    torch.testing.assert_close(features[0, :, -1], 0.75 * voicing[0])


def test_branches_share_the_spectrum_out():
    # With blocks that pass everything on, voice comes out below the cut-off and noise above it.
    nsf = model()
    for block in (*nsf.harmonic_blocks, nsf.noise_block):
        torch.nn.init.zeros_(block.output.weight)
    samples = 64 * HOP
    features, cutoff = torch.zeros(1, 8, samples), torch.full((1, samples), 0.5)
    white = torch.randn(1, 1, samples, generator=seeded())
    hertz = torch.linspace(0, 8000, samples // 2 + 1)
    for voice, breath, side in ((white, 0 * white, hertz < 3000), (0 * white, white, hertz > 5000)):
        output = nsf._filtered(voice, breath, features, cutoff)[0].detach()
        power = torch.fft.rfft(output).abs().square()
        other = (hertz < 3000) | (hertz > 5000)
        assert float(power[side].mean() / samples) == pytest.approx(1, rel=0.05)
        assert float(power[other & ~side].mean() / power[side].mean()) < 1e-4


# ---- lengths, batches, chunks --------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS)
@torch.inference_mode()
def test_samples_are_frames_times_hop(spec):
    nsf, mel = model(spec), speech_mel(spec, 30)
    for frames in (1, 2, 5, 17):
        waveform = nsf(mel[:, :, 5 : 5 + frames], generator=seeded())
        assert waveform.shape == (1, frames * SPECS[spec].hop_length)
        assert waveform.isfinite().all()
        assert float(waveform.std()) > 1e-3


@torch.inference_mode()
def test_utterances_of_a_batch_do_not_hear_one_another():
    nsf = model()
    mels = torch.cat([speech_mel("speecht5_16k", 40), speech_mel("speecht5_16k", 45)[:, :, 5:]])
    together = nsf(mels, generator=[seeded(1), seeded(2)])
    for row, seed in enumerate((1, 2)):
        alone = nsf(mels[row : row + 1], generator=[seeded(seed)])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("spec", ["speecht5_16k", "hifigan_22k"])
@pytest.mark.parametrize("chunk_frames", [1, 7, 40])
@torch.inference_mode()
def test_chunks_are_the_whole(spec, chunk_frames):
    nsf, mel = model(spec), speech_mel(spec, 40)
    assert nsf.receptive_field < SPECS[spec].hop_length
    whole = nsf(mel, generator=seeded())
    pieces = nsf(mel, generator=seeded(), chunk_frames=chunk_frames)
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "sizes",
    [
        {"blocks": 1, "layers": 2, "noise_layers": 10},  # four frames of past in the noise branch
        {"sinc_taps": 1025},  # two frames on either side
    ],
)
@torch.inference_mode()
def test_chunks_see_as_far_as_either_branch_and_the_filters(sizes):
    nsf, mel = model(config=SMALL.model_copy(update=sizes)), speech_mel("speecht5_16k", 20)
    whole = nsf(mel, generator=seeded())
    pieces = nsf(mel, generator=seeded(), chunk_frames=3)
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("chunk_frames", [0, -3])
def test_chunks_of_no_frame_are_refused(chunk_frames):
    with pytest.raises(ValueError, match=rf"chunk_frames is {chunk_frames}: at least one frame"):
        model()(speech_mel("speecht5_16k", 5), chunk_frames=chunk_frames)


@torch.inference_mode()
def test_the_generator_decides_and_nothing_else():
    nsf, mel = model(), speech_mel("speecht5_16k", 20)
    torch.manual_seed(1)
    first = nsf(mel, generator=seeded())
    torch.manual_seed(2)
    assert torch.equal(nsf(mel, generator=seeded()), first)
    assert not torch.allclose(nsf(mel, generator=seeded(1)), first, atol=1e-3)


@torch.inference_mode()
def test_f0_can_be_scaled():
    nsf, mel = model(), speech_mel("speecht5_16k", 20)
    assert not torch.allclose(
        nsf(mel, generator=seeded(), f0_scale=1.5), nsf(mel, generator=seeded())
    )
    with pytest.raises(PitchError, match="F0 is"):
        nsf(mel, f0_scale=1000.0)


# ---- sizes and files -----------------------------------------------------------------------------


def test_full_size_has_the_parameters_of_its_description():
    full = model(config=NSFConfig())
    block = 64 + 10 * 3 * 64 * 64 + 64 * 16 + 16
    noise_block = block - 5 * 3 * 64 * 64
    # Two LSTMs of 32 cells that see 80 bands and F0; a convolution to 63 features and a cut-off.
    condition = 2 * 4 * 32 * (81 + 32 + 2) + (3 * 64 * 64 + 64)
    expected = 5 * block + noise_block + condition + 9
    pitch = sum(p.numel() for p in full.pitch_predictor.parameters())
    assert full.parameters_count - pitch == expected == 724_265
    assert full.lookahead_frames is None


def test_saved_and_loaded_it_sounds_the_same(tmp_path):
    nsf, other, mel = model(), model(seed=1), speech_mel("speecht5_16k", 20)
    save_file(nsf.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert set(nsf.state_dict()) == {name for name, _ in nsf.named_parameters()}
    with torch.inference_mode():
        assert torch.equal(nsf(mel, generator=seeded()), other(mel, generator=seeded()))


def test_pitch_is_predicted_from_a_mel_of_any_type_and_of_the_right_shape():
    nsf, mel = model(), speech_mel("speecht5_16k", 20)
    expected, found = nsf.predict_pitch(mel), nsf.predict_pitch(mel.double())
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    with pytest.raises(MelError, match="79 bins"):
        nsf.predict_pitch(torch.zeros(1, 79, 5))


def test_bad_input_is_refused():
    with pytest.raises(MelError, match="79 bins"):
        model()(torch.zeros(1, 79, 5))
    with pytest.raises(ValidationError, match="sinc_taps 30 is even: choose an odd number"):
        NSFConfig(sinc_taps=30)
    with pytest.raises(ValidationError, match="multiple of 4"):
        NSFConfig(channels=6)
