"""Both WaveRNNs: generation ≡ training's forward pass, causality, masks, batches, folding."""

import pytest
import torch
from safetensors.torch import load_file, save_file

import vocoder.models.wavernn as wavernn
import vocoder.models.wavernn_dual as wavernn_dual
from tests.models.speech import seeded
from vocoder.dsp.companding import mu_law_encode, uniform_decode
from vocoder.errors import MelError
from vocoder.features.mel import PRESETS
from vocoder.models.blocks.gru import GatedRecurrentLayer, gated_update
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.recurrent import ConditioningConfig, ConditioningNetwork, FoldConfig
from vocoder.models.blocks.sampling import sample_categorical, sample_logistic_mixture
from vocoder.models.wavernn import WaveRNN, WaveRNNConfig
from vocoder.models.wavernn_dual import DualWaveRNN, DualWaveRNNConfig

pytestmark = pytest.mark.slow

SPEC = PRESETS["speecht5_16k"].model_copy(
    update={"hop_length": 32, "win_length": 128, "n_fft": 128, "n_mels": 8}
)
SMALL = ConditioningConfig(upsampling=(4, 8), channels=8, blocks=2, features=8)
CONFIGS = {
    "mulaw": WaveRNNConfig(bits=6, gru_channels=12, linear_channels=10, conditioning=SMALL),
    "mixture": WaveRNNConfig(
        output="mixture", mixtures=3, gru_channels=12, linear_channels=10, conditioning=SMALL
    ),
    "dual": DualWaveRNNConfig(channels=12, conditioning=SMALL),
}
EVERY = pytest.mark.parametrize("name", CONFIGS)
FOLD = FoldConfig(target=128, overlap=32)


def model_of(name: str, seed: int = 0) -> WaveRNN | DualWaveRNN:
    """A small model with lively gates and logits."""
    config = CONFIGS[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        kind = WaveRNN if isinstance(config, WaveRNNConfig) else DualWaveRNN
        model = kind(config, SPEC)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.data *= 2
    return model.eval()


def mel_of(frames: int, batch: int = 1, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, SPEC.n_mels, frames, generator=seeded(seed)) - 2


def draw(model: WaveRNN | DualWaveRNN, predicted: torch.Tensor, numbers: torch.Tensor):
    """Samples of :meth:`generate` from predictions, all at once."""
    if isinstance(model, DualWaveRNN):
        symbols = [sample_categorical(predicted[:, :, k], numbers[:, :, k]) for k in (0, 1)]
        return model.join(torch.stack(symbols, dim=-1), predicted.dtype)
    if model.config.output == "mixture":
        return sample_logistic_mixture(predicted, numbers)
    return sample_categorical(predicted, numbers[..., 0])


# ---- generation ----------------------------------------------------------------------------------


@EVERY
@torch.inference_mode()
def test_generation_is_the_full_forward_pass(name):
    model = model_of(name)
    mel = pad_silence(mel_of(7, batch=2), SPEC, model.context)
    numbers = torch.rand(2, 7 * 32, model.uniforms, generator=seeded())
    generated = model.generate(mel, numbers)
    assert generated.std() > 0.05
    # Told all samples, the parallel pass predicts distributions that the same numbers turn into
    # the same samples, each at its place.
    expected = draw(model, model.predict(generated, mel), numbers)
    if name == "mulaw":
        assert torch.equal(mu_law_encode(generated, 64), expected)
    else:
        torch.testing.assert_close(generated, expected, atol=1e-5, rtol=0)


@EVERY
@torch.inference_mode()
def test_logits_in_the_loop_are_those_of_the_full_pass(name, monkeypatch):
    model, seen = model_of(name), []

    def watch(sampler):
        def watched(logits, uniforms):
            seen.append(logits)
            return sampler(logits, uniforms)

        return watched

    monkeypatch.setattr(wavernn, "sample_categorical", watch(sample_categorical))
    monkeypatch.setattr(wavernn, "sample_logistic_mixture", watch(sample_logistic_mixture))
    monkeypatch.setattr(wavernn_dual, "sample_categorical", watch(sample_categorical))
    mel = pad_silence(mel_of(6), SPEC, model.context)
    generated = model.generate(mel, torch.rand(1, 6 * 32, model.uniforms, generator=seeded()))
    expected = model.predict(generated, mel)
    assert expected.std() > 0.1
    found = torch.stack(seen, dim=1).view_as(expected)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@EVERY
@torch.inference_mode()
def test_neighbours_and_padding_change_nothing(name):
    model, frames = model_of(name), (5, 9)
    mels = [speech_like(n, seed) for seed, n in enumerate(frames)]
    floor = torch.as_tensor(SPEC.log_floor).expand(SPEC.n_mels)[None, :, None]
    padded = floor.repeat(2, 1, max(frames))
    for row, mel in enumerate(mels):
        padded[row, :, : mel.shape[2]] = mel
    together = model(padded, generator=[seeded(5), seeded(6)])
    for row, mel in enumerate(mels):
        alone = model(mel, generator=seeded(5 + row))
        torch.testing.assert_close(together[row, : mel.shape[2] * 32], alone[0], atol=1e-5, rtol=0)


def speech_like(frames: int, seed: int) -> torch.Tensor:
    return SPEC.mel(0.2 * torch.randn(1, frames * 32, generator=seeded(seed)))[:, :, :frames]


@EVERY
@torch.inference_mode()
def test_samples_are_frames_times_hop(name):
    model = model_of(name)
    for frames in (1, 3):
        waveform = model(mel_of(frames), generator=seeded())
        assert waveform.shape == (1, frames * 32)
        assert (waveform.abs() <= 1).all()


# ---- what sees what ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mixture", "dual"])
def test_a_prediction_sees_samples_before_it_only(name):
    model = model_of(name).double()
    mel = mel_of(4 + 4).double()
    if name == "dual":
        previous = torch.rand(1, 128, 2, dtype=torch.float64, requires_grad=True)
        coarse = torch.rand(1, 128, 1, dtype=torch.float64, requires_grad=True)
        predicted = model.predict_symbols(previous, coarse, mel)
        for kind, own in ((0, False), (1, True)):
            total = predicted[0, 50, kind].square().sum()
            of_previous, of_coarse = torch.autograd.grad(
                total, (previous, coarse), retain_graph=True
            )
            # previous[t] holds what sample t - 1 was; coarse[t] what sample t is.
            assert of_previous[0].abs().sum(1).nonzero().max() == 50
            last = of_coarse[0, :, 0].nonzero().max()
            assert last == (50 if own else 49)
    else:
        waveform = torch.rand(1, 128, dtype=torch.float64).sub_(0.5).requires_grad_()
        predicted = model.predict(waveform, mel)
        (gradient,) = torch.autograd.grad(predicted[0, 50].square().sum(), waveform)
        assert gradient[0].nonzero().flatten().tolist() == list(range(50))


def test_the_fine_byte_alone_sees_its_coarse_one():
    # Between two samples that differ in nothing but the coarse byte of one of them.
    model = model_of("dual")
    mel, waveform = mel_of(6), 0.3 * torch.rand(1, 64, generator=seeded())
    changed = waveform.clone()
    changed[0, 20] += 1024 / 32768
    assert (model.split(changed) != model.split(waveform))[0, 20].tolist() == [True, False]
    with torch.no_grad():
        before, after = model.predict(waveform, mel), model.predict(changed, mel)
    same = (before == after).flatten(3).all(dim=3)[0]
    assert same[:20].all()
    assert same[20].tolist() == [True, False]
    assert not same[21].any()


@EVERY
def test_a_sample_sees_the_declared_frames(name):
    model = model_of(name)
    mel = mel_of(9 + 4).requires_grad_()
    predicted = model.predict(torch.zeros(1, 9 * 32), mel)
    # The first sample, without influence of the state.
    (gradient,) = torch.autograd.grad(predicted[0, 0].square().sum(), mel)
    seen = gradient[0].abs().sum(0).nonzero().flatten().tolist()
    assert seen == [0, 1, 2, 3, 4]
    assert model.lookahead_frames == 2


# ---- parts ---------------------------------------------------------------------------------------


def test_the_recurrent_layer_is_torchs():
    torch.manual_seed(0)
    ours, theirs = GatedRecurrentLayer(5, 7), torch.nn.GRU(5, 7, batch_first=True)
    with torch.no_grad():
        for name, layer in (("ih", ours.from_input), ("hh", ours.from_state)):
            getattr(theirs, f"weight_{name}_l0").copy_(layer.weight)
            getattr(theirs, f"bias_{name}_l0").copy_(layer.bias)
    x = torch.randn(3, 11, 5)
    expected = theirs(x)[0]
    torch.testing.assert_close(ours(x), expected)
    state = torch.zeros(3, 7)
    for step in range(11):
        state = gated_update(ours.from_input(x[:, step]), ours.from_state(state), state)
        torch.testing.assert_close(state, expected[:, step], atol=1e-6, rtol=1e-5)


def test_upsampling_is_its_stages_one_after_the_other():
    config = ConditioningConfig(upsampling=(3, 4, 2), channels=4, blocks=1, features=4)
    torch.manual_seed(0)
    network = ConditioningNetwork(config, 3)
    for kernel in network.kernels:
        torch.nn.init.normal_(kernel)
    mel = torch.randn(2, 3, 9)
    upsampled, features = network(mel)
    x = mel.flatten(0, 1)[:, None]
    for factor, kernel in zip(config.upsampling, network.kernels, strict=True):
        held = x.repeat_interleave(factor, dim=2)
        x = torch.nn.functional.conv1d(held, kernel[None, None], padding=factor)
    expected = x[:, 0, 48:-48].unflatten(0, (2, 3)).transpose(1, 2)
    torch.testing.assert_close(upsampled, expected, atol=1e-5, rtol=1e-5)
    assert features.shape == (2, 5, 4)


def test_sixteen_bits_survive_the_two_bytes():
    levels = torch.arange(65536)
    waveform = uniform_decode(levels, 65536)
    symbols = DualWaveRNN.split(waveform)
    assert symbols.min() == 0
    assert symbols.max() == 255
    assert torch.equal(symbols[:, 0] * 256 + symbols[:, 1], levels)
    assert torch.equal(DualWaveRNN.join(symbols, torch.float32), waveform)


# ---- folding -------------------------------------------------------------------------------------


@EVERY
@torch.inference_mode()
def test_pieces_are_generated_as_if_alone_and_faded_over(name):
    model, mel = model_of(name), mel_of(22)
    whole = model(mel, generator=seeded(), fold=FOLD)
    assert whole.shape == (1, 22 * 32)
    # Pieces of 6 frames, a new one every 5, the last filled up with silence; numbers are drawn for
    # one piece after the other.
    padded = pad_silence(mel, SPEC, (2, 2 + 4))
    mels = torch.cat([padded[:, :, 5 * k : 5 * k + 10] for k in range(5)])
    numbers = torch.rand(5, 6 * 32, model.uniforms, generator=seeded())
    for k, piece in enumerate(model.generate(mels, numbers)):
        first, last = (5 * k + (k > 0)) * 32, min(5 * k + 5, 22) * 32
        torch.testing.assert_close(whole[0, first:last], piece[first - 160 * k : last - 160 * k])
    assert model.seams(22, FOLD).tolist() == [176.0, 336.0, 496.0, 656.0]


@EVERY
@torch.inference_mode()
def test_short_utterances_are_not_folded(name):
    model, mel = model_of(name), mel_of(6)
    plain = model(mel, generator=seeded())
    assert torch.equal(plain, model(mel, generator=seeded(), fold=FOLD))
    assert model.seams(6, FOLD).tolist() == []


@pytest.mark.parametrize("name", ["mulaw", "dual"])
@torch.inference_mode()
def test_a_model_with_a_fold_can_generate_without(name):
    plain, mel = model_of(name), mel_of(22)
    folding = type(plain)(CONFIGS[name].model_copy(update={"fold": FOLD}), SPEC).eval()
    folding.load_state_dict(plain.state_dict())
    whole = plain(mel, generator=seeded())
    folded = plain(mel, generator=seeded(), fold=FOLD)
    assert not torch.equal(folded, whole)
    assert torch.equal(folding(mel, generator=seeded()), folded)
    assert torch.equal(folding(mel, generator=seeded(), fold=None), whole)
    assert folding.seams(22).tolist() == plain.seams(22, FOLD).tolist() != []
    assert folding.seams(22, None).tolist() == plain.seams(22).tolist() == []


def test_a_fold_off_the_frames_is_refused():
    with pytest.raises(MelError, match=r"hop_length 32: take 96 and 32"):
        model_of("mulaw")(mel_of(3), fold=FoldConfig(target=100, overlap=33))
    config = CONFIGS["dual"].model_copy(update={"fold": FoldConfig(target=100, overlap=32)})
    with pytest.raises(MelError, match="multiples of the"):
        DualWaveRNN(config, SPEC)
    with pytest.raises(MelError, match=r"conditioning\.upsampling 4 × 8 × 8 = 256.*hop_length 300"):
        WaveRNN(WaveRNNConfig(), PRESETS["espnet_24k"])


# ---- sizes and files -----------------------------------------------------------------------------


def test_parameters_are_the_papers():
    spec = PRESETS["speecht5_16k"]
    # arXiv 1802.08435, section 2: R of 3 × 896 × 896; for each half a layer of 448 × 448 and one of
    # 448 × 256.
    dual = DualWaveRNN(DualWaveRNNConfig(), spec)
    assert dual.recurrent.from_state.weight.numel() == 3 * 896**2
    assert sum(p.numel() for p in dual.coarse.parameters()) == 448 * 449 + 449 * 256
    # The two recurrent layers of 512 and three linear ones, counted by hand.
    config = WaveRNNConfig(bits=9)
    loop = [(1 + 80 + 32) * 512 + 512, 3 * 512 * (512 + 512 + 2), 3 * 512 * (544 + 512 + 2)]
    loop += [545 * 512, 545 * 512, 513 * 512]
    model = WaveRNN(config, spec)
    conditioning = sum(p.numel() for p in model.conditioning.parameters())
    assert model.parameters_count - conditioning == sum(loop)


@EVERY
def test_weights_go_through_a_file(name, tmp_path):
    model, other = model_of(name), model_of(name, seed=9)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    assert set(model.state_dict()) == set(dict(model.named_parameters()))
    mel = mel_of(2)
    assert torch.equal(model(mel, generator=seeded()), other(mel, generator=seeded()))
