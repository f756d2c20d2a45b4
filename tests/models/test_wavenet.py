"""WaveNet: causality, cached generation, batches and padding, sizes, and that it learns."""

import math

import pytest
import torch

from tests.models.speech import seeded, speech, speech_mel
from vocoder.data.segments import Batch
from vocoder.dsp.companding import mu_law_decode, mu_law_encode
from vocoder.errors import MelError
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.losses.likelihood import LN_2, categorical_nll
from vocoder.models.blocks import cached_stack
from vocoder.models.blocks.cached_stack import CachedStack
from vocoder.models.blocks.gated_convolutions import GatedStack
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.wavenet import WaveNet, WaveNetConfig
from vocoder.training.objectives.likelihood import LikelihoodConfig, LikelihoodObjective

pytestmark = pytest.mark.slow

# A loop over samples takes its time: a short hop, and few bands.
SPEC = MelSpec(
    sample_rate=16000, n_fft=256, hop_length=64, win_length=256, n_mels=20, f_min=0, f_max=8000
)
HOP = SPEC.hop_length
WAVEFORM = speech("speecht5_16k", 60)
SPEECH_MEL = SPEC.mel(WAVEFORM)
OUTPUTS = pytest.mark.parametrize("output", ["mulaw", "mol", "gaussian"])


def small(output: str = "mol", dtype: torch.dtype = torch.float32, **sizes: object) -> WaveNet:
    """Random weights, all of them, as after some training: biases are not zero."""
    fields = {
        "layers": 6,
        "stacks": 2,
        "residual_channels": 12,
        "gate_channels": 20,
        "skip_channels": 16,
        "mixtures": 3,
        "upsampling": (8, 8),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = WaveNet(WaveNetConfig(output=output, **{**fields, **sizes}), SPEC)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.to(dtype).eval()


def mel_of(frames: int, dtype: torch.dtype = torch.float32, batch: int = 1) -> torch.Tensor:
    mels = [SPEECH_MEL[:, :, 11 * i + 20 : 11 * i + 20 + frames] for i in range(batch)]
    return torch.cat(mels).to(dtype)


# ---- what a prediction depends on ----------------------------------------------------------------


@pytest.mark.parametrize("output", ["mol", "gaussian"])
def test_a_prediction_sees_the_past_as_far_as_declared_and_nothing_else(output):
    model = small(output, torch.float64)
    waveform = (0.1 * torch.randn(1, 4 * HOP, generator=seeded())).double().requires_grad_(True)
    mel = pad_silence(mel_of(4, torch.float64), model.spec, model.context)
    at = 150
    model.predict(waveform, mel)[0, at].sum().backward()
    assert waveform.grad is not None
    reached = waveform.grad[0].nonzero()[:, 0]
    # Two stacks of dilations 1, 2, 4 with two older taps each, and the shift by one.
    assert model.receptive_field == 1 + 2 * 2 * 7
    assert int(reached.max()) == at - 1
    assert int(reached.min()) == at - model.receptive_field


def test_a_mulaw_prediction_depends_on_no_later_sample():
    model = small("mulaw")
    mel = pad_silence(mel_of(4), model.spec, model.context)
    waveform = 0.1 * torch.randn(1, 4 * HOP, generator=seeded())
    changed = waveform.clone()
    changed[0, 150] += 0.2
    with torch.no_grad():
        difference = (model.predict(changed, mel) - model.predict(waveform, mel)).abs().amax(2)[0]
    assert float(difference[:151].max()) == 0
    assert float(difference[151]) > 1e-4
    assert float(difference[151 + model.receptive_field :].max()) == 0


@pytest.mark.parametrize("factors", [(8, 8), (4, 4, 4), (2, 32), (64,)])
@pytest.mark.parametrize("side", [0, 2])
def test_conditioning_looks_ahead_as_far_as_declared(factors, side):
    model = small(upsampling=factors, mel_side_frames=side)
    assert model.context == (side + 1, side + 1)
    assert model.lookahead_frames == side + 1
    mel = mel_of(12).requires_grad_(True)
    condition = model.conditioning(mel)
    frames = 12 - sum(model.context)
    assert condition.shape == (1, 20, frames * HOP)
    middle = frames // 2
    condition[:, :, middle * HOP : (middle + 1) * HOP].sum().backward()
    assert mel.grad is not None
    reached = mel.grad.abs().sum((0, 1)).nonzero()[:, 0]
    own = middle + model.context[0]
    assert int(reached.min()) >= own - model.context[0]
    assert int(reached.max()) <= own + model.lookahead_frames


@pytest.mark.parametrize("factors", [(8, 8), (4, 4, 4), (2, 32)])
@torch.no_grad()
def test_conditioning_of_a_part_is_a_part_of_the_conditioning(factors):
    model = small(upsampling=factors)
    mel = mel_of(20)
    whole = model.conditioning(mel)
    part = model.conditioning(mel[:, :, 5 : 5 + 4 + sum(model.context)])
    torch.testing.assert_close(part, whole[:, :, 5 * HOP : 9 * HOP], atol=1e-5, rtol=0)


def test_odd_hops_are_upsampled_too():
    spec = PRESETS["espnet_24k"]  # 300 samples
    sizes = {"layers": 2, "stacks": 1, "residual_channels": 4, "gate_channels": 4}
    config = WaveNetConfig(**sizes, upsampling=(3, 5, 20))
    waveform = WaveNet(config, spec)(speech_mel("espnet_24k", 40)[:, :, 10:13])
    assert waveform.shape == (1, 900)
    with pytest.raises(MelError, match=r"upsampling 4 × 4 × 4 × 4 = 256.*hop_length 300"):
        WaveNet(WaveNetConfig(), spec)


# ---- generation ----------------------------------------------------------------------------------


@OUTPUTS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_generation_is_sampling_from_the_predictions_of_its_result(output, dtype):
    model = small(output, dtype)
    mel = mel_of(9, dtype, batch=2)
    drawn = model.draw(2, 9 * HOP, seeded(), mel)
    waveform = model.generate(mel, drawn)
    parameters = model.predict(waveform, pad_silence(mel, model.spec, model.context))
    assert waveform.std() > 0.05
    bound = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(waveform, model.sample(parameters, drawn), atol=bound, rtol=0)


@pytest.mark.parametrize("chunk", [1, 3, 64])
@pytest.mark.parametrize(("kernel", "dilations"), [(2, (1, 2, 4, 8)), (3, (1, 5, 70)), (4, (2,))])
@torch.no_grad()
def test_the_cached_stack_is_the_stack(monkeypatch, chunk, kernel, dilations):
    # Chunks shorter than a dilation, and queues longer than a chunk.
    monkeypatch.setattr(cached_stack, "LARGEST_CHUNK", chunk)
    torch.manual_seed(0)
    stack = GatedStack(6, 8, 5, 7, kernel, dilations, 4)
    for parameter in stack.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    x, condition = torch.randn(2, 6, 200), torch.randn(2, 7, 200)
    expected = stack(x, condition)
    cached = CachedStack(stack, 2)
    found = []
    # Pieces of the conditioning end within a chunk too.
    for start, stop in ((0, 100), (100, 137), (137, 200)):
        for first in range(start, stop, cached.chunk):
            last = min(first + cached.chunk, stop)
            cached.begin_chunk(condition[:, :, first:last])
            for t in range(last - first):
                cached.inputs[t].copy_(x[:, :, first + t])
                found.append(cached.step(t))
    torch.testing.assert_close(torch.stack(found, 2), expected, atol=1e-5, rtol=1e-5)


@OUTPUTS
@torch.no_grad()
def test_an_utterance_in_a_padded_batch_is_what_it_is_alone(output):
    # In double precision, where feedback has next to nothing to amplify.
    model = small(output, torch.float64)
    frames = (5, 9, 7)
    mels = [mel_of(n, torch.float64) for n in frames]
    padded = torch.full((3, SPEC.n_mels, 9), SPEC.log_floor, dtype=torch.float64)
    for row, mel in enumerate(mels):
        padded[row, :, : mel.shape[2]] = mel
    together = model(padded, generator=[seeded(i) for i in range(3)])
    for row, mel in enumerate(mels):
        alone = model(mel, generator=[seeded(row)])
        same = alone.shape[1]
        torch.testing.assert_close(together[row : row + 1, :same], alone, atol=1e-8, rtol=0)
        assert alone.std() > 0.05
    assert not torch.allclose(together[0, :HOP], together[1, :HOP])


@OUTPUTS
@torch.no_grad()
def test_later_mel_frames_change_nothing_beyond_the_lookahead(output):
    model = small(output, torch.float64)
    mel = mel_of(10, torch.float64)
    longer = torch.cat([mel[:, :, :8], mel[:, :, 2:6]], dim=2)
    whole = model(mel, generator=[seeded()])
    other = model(longer, generator=[seeded()])
    safe = (8 - model.lookahead_frames) * HOP
    torch.testing.assert_close(whole[:, :safe], other[:, :safe], atol=1e-8, rtol=0)
    assert not torch.allclose(whole[:, safe : 10 * HOP], other[:, safe : 10 * HOP])


# ---- likelihood ----------------------------------------------------------------------------------


def test_uniform_symbols_cost_eight_bits_before_anything_is_learned():
    model = small("mulaw")
    model.stack.output.parametrizations.weight.original0.data.zero_()
    model.stack.output.bias.data.zero_()
    symbols = torch.randint(256, (2, 4 * HOP), generator=seeded())
    mel = pad_silence(mel_of(4, batch=2), model.spec, model.context)
    waveform = mu_law_decode(symbols)
    assert torch.equal(mu_law_encode(waveform), symbols)
    batch = Batch(waveform, mel, torch.empty(2, 0), torch.empty(2, 0))
    loss = LikelihoodObjective(model, LikelihoodConfig())(batch).losses["likelihood"]
    assert float(loss.detach()) / LN_2 == pytest.approx(8, abs=1e-5)


@torch.no_grad()
def test_own_samples_cost_the_entropy_of_the_predictions():
    model = small("mulaw")
    mel = mel_of(10, batch=4)
    waveform = model(mel, generator=[seeded(i) for i in range(4)])
    logits = model.predict(waveform, pad_silence(mel, model.spec, model.context))
    probabilities = torch.softmax(logits, -1)
    entropy = -(probabilities * torch.log_softmax(logits, -1)).sum(-1)
    # Their difference is a martingale: its mean over n samples is zero but for its spread / √n.
    surplus = categorical_nll(logits, mu_law_encode(waveform)) - entropy
    bound = 5 * float(surplus.std()) / math.sqrt(surplus.numel())
    assert abs(float(surplus.mean())) < bound < 0.1


@OUTPUTS
def test_one_batch_is_learned_by_heart(output):
    torch.manual_seed(0)
    sizes = {"layers": 6, "stacks": 1, "residual_channels": 16, "gate_channels": 32}
    config = WaveNetConfig(
        output=output, **sizes, skip_channels=32, mixtures=2, classes=64, upsampling=(8, 8)
    )
    model = WaveNet(config, SPEC)
    objective = LikelihoodObjective(model, LikelihoodConfig())
    assert objective.draw(2, 8 * HOP, lambda _: seeded()) == ()
    waveform = 0.7 * WAVEFORM[0, 20 * HOP : 36 * HOP].view(2, -1)
    mel = torch.cat([SPEECH_MEL[:, :, 20:28], SPEECH_MEL[:, :, 28:36]])
    mel = pad_silence(mel, model.spec, model.context)
    batch = Batch(waveform, mel, torch.empty(2, 0), torch.empty(2, 0))
    optimizer = torch.optim.Adam(model.parameters())
    steps = 150
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 6e-3 * (1 - step / steps)
        loss = objective(batch).losses["likelihood"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
    # At least a bit a sample below what the signal costs by its power or its histogram alone.
    if output == "mulaw":
        shares = torch.bincount(mu_law_encode(waveform, 64).flatten()) / waveform.numel()
        blind = float(torch.special.entr(shares).sum())
    else:
        blind = 0.5 * math.log(2 * math.pi * math.e) + math.log(float(waveform.std()))
    if output == "mol":
        blind -= math.log(2 / 65535)
    assert float(loss.detach()) < blind - LN_2
    unused = [name for name, p in model.named_parameters() if p.grad is None]
    assert unused == []


# ---- size and configuration ----------------------------------------------------------------------


def test_the_default_has_the_parameters_of_r9y9s_recipe():
    # Counted from that recipe's layers, weight norm's lengths included: 24 × (three taps of
    # 128→256, 80→256, 128→128 twice), 1→128, 128→128, 128→30, five of 80→80, four kernels of nine.
    published = 24 * (98304 + 512 + 20480 + 512 + 2 * (16384 + 256)) + 384 + 16640 + 3900 + 32040
    assert published == 3_727_076
    model = WaveNet(WaveNetConfig(), PRESETS["r9y9_22k"])
    assert model.receptive_field == 1 + 2 * 4 * 63
    # Here a block's conditioning has no bias and the last block no residual output.
    lacking = 24 * 256 + 16640
    upsampling = 4 * (3 * 8 + 1 + 1) - 40
    assert model.parameters_count == published - lacking + upsampling
    assert model.parameters_count == pytest.approx(published, rel=0.02)


def test_weights_survive_a_strict_round_trip():
    model, other = small("mol"), small("mol", residual_channels=12)
    for parameter in other.parameters():
        parameter.data.zero_()
    state = model.state_dict()
    assert set(state) == {name for name, _ in model.named_parameters()}
    other.load_state_dict(state, strict=True)
    mel = mel_of(2)
    assert torch.equal(model(mel, generator=seeded()), other(mel, generator=seeded()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": 7, "stacks": 2}, "7 layers do not divide into 2 stacks"),
        ({"upsampling": (256, 1)}, "every factor is at least 2"),
        ({"gate_channels": 33}, "multiple of 2"),
        ({"output": "softmax"}, "mulaw"),
    ],
)
def test_impossible_sizes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        WaveNetConfig(**fields)
