"""WaveFlow and WaveGlow: exact inverses, exact likelihood, receptive fields, published sizes."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.speech import floor_mel, seeded, speech, speech_mel
from vocoder.errors import MelError
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.losses.flow import flow_nll
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.waveflow import Flow, WaveFlow, WaveFlowConfig
from vocoder.models.waveglow import InvertibleConvolution, WaveGlow, WaveGlowConfig

pytestmark = pytest.mark.slow

SPEC = PRESETS["speecht5_16k"].model_copy(
    update={"hop_length": 32, "win_length": 128, "n_fft": 128, "n_mels": 8}
)
CONFIGS = {
    "waveflow": WaveFlowConfig(
        rows=8, flows=4, channels=6, row_dilations=(1, 2, 1), upsampling=(4, 8)
    ),
    # A kernel higher than the rows are many.
    "waveflow of five": WaveFlowConfig(
        rows=4, flows=2, channels=4, kernel=5, row_dilations=(1, 1), upsampling=(2, 16)
    ),
    "waveglow": WaveGlowConfig(
        group=8, flows=4, early_every=2, early_channels=2, channels=6, layers=3
    ),
}
EVERY = pytest.mark.parametrize("name", CONFIGS)


def model_of(name: str, trained: bool = True, spec: MelSpec = SPEC) -> WaveFlow | WaveGlow:
    """A small flow; ``trained``: its output layers, zero at first, get numbers."""
    config = CONFIGS[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = (
            WaveFlow(config, spec) if isinstance(config, WaveFlowConfig) else WaveGlow(config, spec)
        )
        if trained:
            for key, parameter in model.named_parameters():
                if key.endswith(("output.weight", "output.bias", "end.weight", "end.bias")):
                    torch.nn.init.normal_(parameter, std=0.2)
            for module in model.modules():
                if isinstance(module, InvertibleConvolution):
                    # No longer a rotation, but far from singular.
                    torch.nn.init.normal_(module.weight, std=0.1)
                    with torch.no_grad():
                        module.weight += torch.eye(module.weight.shape[0])
    return model.eval()


def inputs(frames: int, batch: int = 1, dtype: torch.dtype = torch.float32) -> tuple:
    """Noise as a waveform, and a noisy mel with context."""
    waveform = torch.randn(batch, frames * SPEC.hop_length, generator=seeded(), dtype=dtype)
    mel = torch.randn(batch, SPEC.n_mels, frames + 4, generator=seeded(1), dtype=dtype) - 2
    return waveform, mel


# ---- inverse and likelihood ----------------------------------------------------------------------


@EVERY
@torch.no_grad()
def test_inverse_after_forward_is_the_identity(name):
    model = model_of(name)
    waveform, mel = inputs(9, batch=2)
    z, _ = model.encode(waveform, mel)
    assert (z - waveform).abs().max() > 0.1
    torch.testing.assert_close(model.decode(z, mel), waveform, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        model.encode(model.decode(waveform, mel), mel)[0], waveform, atol=1e-4, rtol=0
    )


@EVERY
def test_log_determinant_is_that_of_the_jacobian(name):
    model = model_of(name).double()
    waveform, mel = inputs(2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: model.encode(x[None], mel)[0][0], waveform[0]
    )
    expected = torch.linalg.slogdet(jacobian).logabsdet
    found = model.encode(waveform, mel)[1][0]
    assert abs(float(expected)) > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@EVERY
@torch.no_grad()
def test_an_untrained_flow_gives_noise_its_entropy(name):
    # Nothing is scaled yet: of white noise of unit power each sample costs ½ log2(2πe) bits.
    model = model_of(name, trained=False)
    waveform, mel = inputs(400)
    z, log_determinant = model.encode(waveform, mel)
    bits = flow_nll(z, log_determinant) / math.log(2)
    assert float(bits) == pytest.approx(0.5 * math.log2(2 * math.pi * math.e), abs=0.02)
    assert float(z.square().sum()) == pytest.approx(float(waveform.square().sum()), rel=1e-4)


@EVERY
@torch.no_grad()
def test_a_level_of_noise_costs_its_logarithm(name):
    model = model_of(name, trained=False)
    waveform, mel = inputs(50)
    quiet = [flow_nll(*model.encode(gain * waveform, mel), sigma=gain) for gain in (0.1, 1.0)]
    torch.testing.assert_close(quiet[0], quiet[1] + math.log(0.1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["waveflow", "waveflow of five"])
@torch.no_grad()
def test_queues_give_what_the_whole_stack_gives(name):
    # The slow inverse: the stack over all rows again for each row, of which one more is right.
    model = model_of(name).double()
    rows = model.config.rows
    flow = model.flows[0]
    assert isinstance(flow, Flow)
    z = torch.randn(2, 1, rows, 11, generator=seeded(), dtype=torch.float64)
    condition = torch.randn(2, SPEC.n_mels, rows, 11, generator=seeded(1), dtype=torch.float64)
    x = torch.zeros_like(z)
    for row in range(rows):
        error = z - flow(x, condition)[0]
        probe = torch.zeros_like(z)
        probe[:, :, row] = 1
        slope = flow(x + probe, condition)[0] - flow(x, condition)[0]
        x[:, :, row] += error[:, :, row] / slope[:, :, row]
    torch.testing.assert_close(flow.inverse(z, condition), x, atol=1e-10, rtol=0)


# ---- what sees what ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["waveflow", "waveflow of five"])
def test_a_row_depends_on_rows_above_and_on_its_own_sample(name):
    model = model_of(name).double()
    rows, columns = model.config.rows, 9
    x = torch.randn(1, 1, rows, columns, generator=seeded(), dtype=torch.float64)
    condition = torch.randn(1, SPEC.n_mels, rows, columns, dtype=torch.float64)
    x.requires_grad_()
    for row in range(rows):
        z, _ = model.flows[0](x, condition)
        (gradient,) = torch.autograd.grad(z[0, 0, row, 4], x)
        seen = gradient[0, 0] != 0
        assert not seen[row + 1 :].any()
        assert seen[row].nonzero().flatten().tolist() == [4]
        if row:
            # On both sides of its column, without a gap next to it.
            assert seen[row - 1, 3:6].all()


@EVERY
def test_a_sample_looks_no_further_ahead_than_declared(name):
    model = model_of(name)
    hop, ahead = SPEC.hop_length, model.lookahead_frames
    frames = ahead + 8
    mel = torch.full((1, SPEC.n_mels, frames), -2.0, requires_grad=True)
    waveform = model(mel, generator=seeded())
    (gradient,) = torch.autograd.grad(waveform[0, 2 * hop : 3 * hop].sum(), mel)
    seen = gradient[0].abs().sum(0).nonzero().flatten().tolist()
    assert min(seen) == 0
    assert 2 < max(seen) <= 2 + ahead


@EVERY
@torch.inference_mode()
def test_neighbours_and_padding_change_nothing(name):
    spec = PRESETS["speecht5_16k"]
    changes = {"upsampling": (16, 16)} if name.startswith("waveflow") else {}
    config = CONFIGS[name].model_copy(update=changes)
    kind = WaveFlow if isinstance(config, WaveFlowConfig) else WaveGlow
    torch.manual_seed(0)
    model = kind(config, spec).eval()
    for key, parameter in model.named_parameters():
        if "output" in key or ".end." in key:
            torch.nn.init.normal_(parameter, std=0.05)
    mels = [speech_mel("speecht5_16k", frames) for frames in (14, 20)]
    padded = floor_mel("speecht5_16k", 20).repeat(2, 1, 1)
    for row, mel in enumerate(mels):
        padded[row, :, : mel.shape[2]] = mel
    together = model(padded, generator=[seeded(5), seeded(6)])
    for row, mel in enumerate(mels):
        alone = model(mel, generator=seeded(5 + row))
        inside = (mel.shape[2] - model.lookahead_frames) * spec.hop_length
        assert inside > 0
        torch.testing.assert_close(together[row, :inside], alone[0, :inside], atol=1e-5, rtol=1e-5)


@EVERY
@torch.inference_mode()
def test_temperature_zero_is_certain_and_one_is_not(name):
    model = model_of(name)
    mel = inputs(6)[1]
    certain = [model(mel, generator=seeded(seed), temperature=0.0) for seed in (0, 1)]
    assert torch.equal(*certain)
    assert not torch.allclose(model(mel, generator=seeded(0)), certain[0])
    assert torch.equal(model(mel, generator=seeded(2)), model(mel, generator=seeded(2)))


@EVERY
@torch.inference_mode()
def test_samples_are_frames_times_hop(name):
    model = model_of(name)
    for frames in (1, 2, 5, 13):
        waveform = model(inputs(frames)[1][:, :, 2:-2], generator=seeded())
        assert waveform.shape == (1, frames * SPEC.hop_length)
        assert waveform.isfinite().all()


# ---- sizes, files, configs -----------------------------------------------------------------------


def test_parameters_are_the_published_ones():
    spec = PRESETS["hifigan_22k"]
    # arXiv 1912.01219, abstract: 5.91 M.
    assert WaveFlow(WaveFlowConfig(), spec).parameters_count == pytest.approx(5.91e6, rel=0.005)
    # WaveGlow counted from the layers of its authors' code, sizes of weight norm included: in a
    # coupling 1x1 of the kept half → 256, of 8 × 80 bands → 8 × 512 and of 256 → shift and scale
    # of the other half, eight layers of three taps, seven of 256 → 512 and one of 256 → 256.
    shared = (640 + 2) * 8 * 512 + (8 * (3 * 256 + 2) + 7 * (256 + 2)) * 512 + (256 + 2) * 256
    steps = [(width, width // 2) for width in (8, 6, 4) for _ in range(4)]
    counted = (80 * 1024 + 1) * 80
    counted += sum(
        width**2 + (half + 2) * 256 + (256 + 1) * 2 * half + shared for width, half in steps
    )
    assert counted == 87_879_272
    assert WaveGlow(WaveGlowConfig(), spec).parameters_count == counted


@EVERY
def test_weights_go_through_a_file(name, tmp_path):
    model, other = model_of(name), model_of(name, trained=False)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    mel = inputs(5)[1]
    with torch.inference_mode():
        assert torch.equal(model(mel, generator=seeded()), other(mel, generator=seeded()))
    assert set(model.state_dict()) == set(dict(model.named_parameters()))


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="no middle"):
        WaveFlowConfig(kernel=4)
    with pytest.raises(ValueError, match="leave nothing"):
        WaveGlowConfig(early_every=1)
    with pytest.raises(MelError, match=r"upsampling 16 × 16 = 256.*hop_length 300"):
        WaveFlow(WaveFlowConfig(), PRESETS["espnet_24k"])
    with pytest.raises(MelError, match="300 is no multiple of 16 rows"):
        WaveFlow(WaveFlowConfig(upsampling=(15, 20)), PRESETS["espnet_24k"])
    with pytest.raises(MelError, match="300 is no multiple of a group of 8"):
        WaveGlow(WaveGlowConfig(), PRESETS["espnet_24k"])


@torch.inference_mode()
def test_a_hop_of_300_needs_other_rows_only():
    config = WaveFlowConfig(rows=12, flows=2, channels=4, upsampling=(15, 20))
    model = WaveFlow(config, PRESETS["espnet_24k"])
    mel = speech_mel("espnet_24k", 5)
    waveform = speech("espnet_24k", 5)
    padded = pad_silence(mel, model.spec, model.context)
    z, _ = model.encode(waveform, padded)
    torch.testing.assert_close(model.decode(z, padded), waveform, atol=1e-5, rtol=0)


@EVERY
@torch.no_grad()
def test_networks_in_bfloat16_leave_the_likelihood_in_full_precision(name):
    model = model_of(name)
    waveform, mel = inputs(20, batch=2)
    exact = flow_nll(*model.encode(waveform, mel))
    with torch.autocast("cpu", torch.bfloat16):
        z, log_determinant = model.encode(waveform, mel)
    assert z.dtype == log_determinant.dtype == torch.float32
    torch.testing.assert_close(flow_nll(z, log_determinant), exact, atol=0.02, rtol=0)
