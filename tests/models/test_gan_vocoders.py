"""HiFi-GAN, iSTFTNet and Vocos: sizes, lengths, batches, padding, reach, saving, bad input."""

from itertools import cycle
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from tests.models.gan import NAMES, build, small
from tests.models.speech import SPECS, floor_mel, relative_error, seeded, speech_mel
from vocoder.errors import MelError
from vocoder.evaluation.cost import count_macs
from vocoder.features.mel import PRESETS
from vocoder.models.base import Vocoder
from vocoder.models.hifigan import HiFiGAN, HiFiGANConfig
from vocoder.models.istftnet import ISTFTNet, ISTFTNetConfig
from vocoder.models.vocos import Vocos, VocosConfig
from vocoder.training.recipe import load_recipe

pytestmark = pytest.mark.slow

EVERY_MODEL = pytest.mark.parametrize("name", NAMES)
# Every network with one convention, and Vocos, whose frames are placed like the mel's, with all.
COVERING = pytest.mark.parametrize(
    ("name", "spec"),
    sorted({*zip(NAMES, cycle(SPECS), strict=False), *(("vocos", spec) for spec in SPECS)}),
)


# ---- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "millions"),
    [
        # Kong et al., arXiv 2010.05646, cut to two places there.
        ("hifigan_v1", 13.92),
        ("hifigan_v2", 0.92),
        ("hifigan_v3", 1.46),
        # Siuzdak, arXiv 2306.00814; the number is that of its code's README.
        ("vocos", 13.5),
    ],
)
def test_published_sizes(recipe, millions, repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nn.init, "trunc_normal_", lambda weight, std: weight)  # slow
    model = load_recipe(repository / "recipes" / "baselines" / f"{recipe}.yaml").build_model()
    assert model.parameters_count / 1e6 == pytest.approx(millions, rel=0.02)


def test_hifigan_v1_has_the_weights_of_its_authors_to_the_last():
    # 13 926 017 weights and biases once weight normalisation is folded, as the field counts them.
    model = HiFiGAN(HiFiGANConfig(), PRESETS["hifigan_22k"])
    sizes = sum(p.numel() for n, p in model.named_parameters() if n.endswith("original0"))
    assert model.parameters_count - sizes == 13_926_017


def test_istftnet_has_the_weights_of_c8c8i():
    # By hand, weight normalisation folded: 80 → 512 of seven, 512 → 256 → 128 transposed of
    # sixteen, three stacks of six convolutions (three, seven and eleven wide) at 256 and at 128,
    # and 128 → 18 of seven; HiFi-GAN V1 without its last two stages. Unfolded it adds a size for
    # each output, of a transposed convolution for each input: 13.26 million.
    stacks = sum(6 * ((3 + 7 + 11) * width + 3) * width for width in (256, 128))
    ends = (80 * 7 + 1) * 512 + (128 * 7 + 1) * 18
    upsampling = (512 * 16 + 1) * 256 + (256 * 16 + 1) * 128
    sizes = 512 + (512 + 256) + 3 * 6 * (256 + 128) + 18
    model = ISTFTNet(ISTFTNetConfig(), PRESETS["hifigan_22k"])
    assert ends + upsampling + stacks == 13_254_034
    assert model.parameters_count == 13_254_034 + sizes


def test_vocos_costs_what_is_published(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nn.init, "trunc_normal_", lambda weight, std: weight)  # slow
    # 1.35 GMAC for a second of 24 kHz at a hop of 240 (arXiv 2506.03554).
    spec = PRESETS["vocos_24k"].model_copy(
        update={"n_fft": 960, "win_length": 960, "hop_length": 240}
    )
    macs = 5 * count_macs(Vocos(VocosConfig(n_fft=960), spec), torch.zeros(1, 100, 20))
    assert macs == pytest.approx(1.35e9, rel=0.02)


# ---- lengths, batches, padding -------------------------------------------------------------------


@COVERING
@torch.inference_mode()
def test_samples_are_frames_times_hop(name, spec):
    model, mel = small(name, spec), speech_mel(spec, 40)
    for frames in (1, 2, 3, 7, 30):
        waveform = model(mel[:, :, 5 : 5 + frames])
        assert waveform.shape == (1, frames * SPECS[spec].hop_length)
        assert waveform.isfinite().all()
        assert waveform.std() > 1e-4


@EVERY_MODEL
@torch.inference_mode()
def test_a_batch_is_its_items_one_by_one(name):
    model = small(name, "hifigan_22k")
    mel = speech_mel("hifigan_22k", 60)
    batch = torch.cat([mel[:, :, start : start + 20] for start in (0, 15, 40)])
    together = model(batch)
    assert relative_error(together[:1], together[1:2]) > 0.05
    for row in range(3):
        torch.testing.assert_close(
            together[row : row + 1], model(batch[row : row + 1]), atol=1e-5, rtol=1e-4
        )


@COVERING
@torch.inference_mode()
def test_padding_with_the_floor_changes_no_more_than_the_declared_end(name, spec):
    model, hop = small(name, spec), SPECS[spec].hop_length
    mel = speech_mel(spec, 60, fading=False)[:, :, :40]
    alone = model(mel)
    padded = model(torch.cat([mel, floor_mel(spec, 25)], dim=2))[:, : 40 * hop]
    safe = (40 - model.lookahead_frames) * hop
    torch.testing.assert_close(padded[:, :safe], alone[:, :safe], atol=1e-5, rtol=1e-4)
    assert relative_error(padded[:, safe:], alone[:, safe:]) > 1e-3


@COVERING
def test_the_declared_reach_is_the_gradients(name, spec):
    model, hop = small(name, spec), SPECS[spec].hop_length
    frame, frames = 32, 65
    mel = speech_mel(spec, 120, fading=False)[:, :, 20 : 20 + frames].double().requires_grad_()
    double = build(name, SPECS[spec]).double()
    samples = double(mel)[:, frame * hop : (frame + 1) * hop]
    weights = torch.randn(samples.shape, generator=seeded(), dtype=torch.float64)
    (samples * weights).sum().backward()
    seen = (mel.grad[0] != 0).any(dim=0).nonzero()[:, 0]
    assert int(seen.min()) == frame - model.history_frames
    assert int(seen.max()) == frame + model.lookahead_frames


def test_published_reach():
    # ±3 frames of the first convolution, and in V1 the residual stacks' 45 steps behind each
    # upsampling: 45 / 8 + 45 / 64 + … frames and the transposed convolutions' own overlap.
    model = HiFiGAN(HiFiGANConfig(channels=16), PRESETS["hifigan_22k"])
    side = 5 * (1 + 3 + 5) + 5 * 3
    steps = (((3 + side) / 2 + side) / 2 + side) / 8
    assert model.lookahead_frames == int(3 + (steps + side) / 8 + 1)


@EVERY_MODEL
@torch.inference_mode()
def test_every_convention_of_the_same_sound_sounds_alike(name):
    # The same mel in other units: the network sees the same numbers.
    plain, normalised = SPECS["espnet_24k"], SPECS["normalised"]
    mel = speech_mel("espnet_24k", 30)
    one, other = build(name, plain).eval(), build(name, normalised).eval()
    found = other(plain.convert(mel, normalised))
    torch.testing.assert_close(found, one(mel), atol=1e-5, rtol=1e-3)


@EVERY_MODEL
@torch.inference_mode()
def test_nothing_is_drawn(name):
    model, mel = small(name, "hifigan_22k"), speech_mel("hifigan_22k", 10)
    before = torch.random.get_rng_state()
    first = model(mel, generator=seeded(1))
    assert torch.equal(first, model(mel, generator=seeded(2)))
    assert torch.equal(before, torch.random.get_rng_state())


@EVERY_MODEL
@torch.inference_mode()
def test_half_precision_leaves_the_waveform_its_resolution(name):
    model, mel = small(name, "hifigan_22k"), speech_mel("hifigan_22k", 20)
    exact = model(mel)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(mel)
    assert mixed.dtype == torch.float32
    assert relative_error(mixed, exact) < 0.1
    # A bfloat16 waveform would be unchanged by rounding.
    assert not torch.equal(mixed, mixed.bfloat16().float())


# ---- weights -------------------------------------------------------------------------------------


@EVERY_MODEL
def test_a_saved_model_is_the_same_and_holds_only_parameters(name, tmp_path: Path):
    spec = SPECS["hifigan_22k"]
    model, other = build(name, spec).eval(), build(name, spec, seed=1).eval()
    assert set(model.state_dict()) == {key for key, _ in model.named_parameters()}
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    mel = speech_mel("hifigan_22k", 8)
    with torch.inference_mode():
        assert relative_error(other(mel), model(mel)) > 0.1
        other.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
        assert torch.equal(other(mel), model(mel))
    wider = build(name, spec, width=32)
    with pytest.raises(RuntimeError, match="size mismatch"):
        wider.load_state_dict(model.state_dict())


@pytest.mark.parametrize("name", ["hifigan", "hifigan_v3", "istftnet"])
def test_every_convolution_is_weight_normalised(name):
    model = small(name, "hifigan_22k")
    layers = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)]
    assert len(layers) > 10
    for layer in layers:
        size = layer.parametrizations.weight.original0
        norm = layer.weight.flatten(1).norm(dim=1)
        torch.testing.assert_close(norm, size.flatten().abs())


# ---- what comes out ------------------------------------------------------------------------------


@torch.inference_mode()
def test_hifigan_stays_within_full_scale():
    model = build("hifigan", SPECS["hifigan_22k"])
    for parameter in model.output.parameters():
        parameter.mul_(1000)
    waveform = model(speech_mel("hifigan_22k", 10))
    assert waveform.abs().max() == 1.0
    assert waveform.isfinite().all()


@pytest.mark.parametrize("name", ["istftnet", "vocos"])
def test_an_overflowing_magnitude_has_finite_samples_and_gradients(name):
    model: Vocoder = build(name, SPECS["hifigan_22k"])
    with torch.no_grad():
        model.output.bias += 200.0  # exp(200) is no float32
    waveform = model(speech_mel("hifigan_22k", 10))
    assert waveform.isfinite().all()
    waveform.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build_it", "message"),
    [
        (lambda spec: HiFiGAN(HiFiGANConfig(), spec), r"rates 8 × 8 × 2 × 2 = 256.*hop_length 300"),
        (lambda spec: ISTFTNet(ISTFTNetConfig(), spec), "8 × 8 = 64 do not divide.*300"),
        (lambda spec: Vocos(VocosConfig(n_fft=512), spec), "512 samples cover too little.*900"),
        (
            lambda spec: ISTFTNet(ISTFTNetConfig(rates=(5, 4), kernels=(10, 8)), spec),
            "n_fft 16 .*at least 30 are needed",
        ),
    ],
)
def test_a_hop_that_does_not_fit_is_refused(build_it, message):
    with pytest.raises(MelError, match=message):
        build_it(SPECS["espnet_24k"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernels": (16, 16, 4)}, "4 rates but 3 kernels"),
        ({"kernels": (16, 16, 4, 1)}, "kernel of 1 does not upsample 2 times"),
        ({"channels": 24}, "24 channels cannot be halved 4 times"),
        ({"residual_kernels": (3, 7)}, "2 residual_kernels but 3 dilations"),
        ({"residual_kernels": (3, 7, 10)}, "must be odd"),
        ({"dilations": ((1, 3), (0,), (1,))}, "dilations start at 1"),
        ({"residual": 3}, "less than or equal to 2"),
    ],
)
def test_layers_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        HiFiGANConfig(**change)


@pytest.mark.usefixtures("unchecked_shapes")
@EVERY_MODEL
def test_a_foreign_mel_is_refused(name):
    with pytest.raises(MelError, match="79 bins, the spec has 80"):
        small(name, "hifigan_22k")(torch.zeros(1, 79, 5))
