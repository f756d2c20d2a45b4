"""The objectives "flow" and "wavernn": theoretical values, and overfitting a batch of speech."""

import math

import pytest
import torch

from vocoder.data.audio import read_audio
from vocoder.data.segments import Batch
from vocoder.features.mel import PRESETS
from vocoder.models.blocks.recurrent import ConditioningConfig
from vocoder.models.waveflow import WaveFlow, WaveFlowConfig
from vocoder.models.waveglow import WaveGlow, WaveGlowConfig
from vocoder.models.wavernn import WaveRNN, WaveRNNConfig
from vocoder.models.wavernn_dual import DualWaveRNN, DualWaveRNNConfig
from vocoder.training.objectives.flow import FlowLossConfig, FlowObjective
from vocoder.training.objectives.wavernn import WaveRNNLossConfig, WaveRNNObjective

pytestmark = pytest.mark.slow

SPEC = PRESETS["speecht5_16k"].model_copy(
    update={"hop_length": 64, "win_length": 256, "n_fft": 256, "n_mels": 20}
)
CONDITIONING = ConditioningConfig(upsampling=(8, 8), channels=16, blocks=1, features=16)


@pytest.fixture(scope="module")
def batch(repository) -> Batch:
    """Two segments of a recording, eight frames each, with context."""
    recording = read_audio(repository / "egs/tiny/wavs/train/ru_0683.wav", 16000).waveform
    starts, hop = (12800, 21760), SPEC.hop_length
    mel = SPEC.mel(recording[None])
    return Batch(
        torch.stack([recording[start : start + 8 * hop] for start in starts]),
        torch.cat([mel[:, :, start // hop - 2 : start // hop + 10] for start in starts]),
        torch.full((2, 8), 120.0),
        torch.ones(2, 8),
    )


def objective_of(name: str) -> FlowObjective | WaveRNNObjective:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if name == "waveflow":
            config = WaveFlowConfig(
                rows=8, flows=2, channels=12, row_dilations=(1, 1, 1), upsampling=(8, 8)
            )
            return FlowObjective(WaveFlow(config, SPEC), FlowLossConfig())
        if name == "waveglow":
            flow = WaveGlowConfig(flows=4, early_every=2, channels=12, layers=3)
            return FlowObjective(WaveGlow(flow, SPEC), FlowLossConfig(sigma=0.5**0.5))
        if name == "dual":
            dual = DualWaveRNNConfig(channels=96, conditioning=CONDITIONING)
            return WaveRNNObjective(DualWaveRNN(dual, SPEC), WaveRNNLossConfig())
        single = WaveRNNConfig(
            output="mulaw" if name == "mulaw" else "mixture",
            bits=8,
            gru_channels=64,
            linear_channels=64,
            conditioning=CONDITIONING,
        )
        return WaveRNNObjective(WaveRNN(single, SPEC), WaveRNNLossConfig())


def loss_of(objective: FlowObjective | WaveRNNObjective, batch: Batch) -> torch.Tensor:
    draws = objective.draw(2, batch.waveform.shape[1], lambda n: torch.Generator().manual_seed(n))
    return torch.stack(list(objective(batch, *draws).losses.values())).sum()


# Adam steps, learning rate, and nats a sample that must be gained by them on the batch. The
# recurrent models, which go through it sample by sample, get its first two frames.
COURSES = {
    "waveflow": (60, 5e-3, 2.0),
    "waveglow": (60, 5e-3, 2.0),
    "mulaw": (50, 1e-2, 2.0),
    "mixture": (50, 1e-2, 1.5),
    "dual": (50, 1e-2, 3.0),
}


@pytest.mark.parametrize("name", COURSES)
def test_one_batch_of_speech_is_learnt(name, batch):
    objective = objective_of(name)
    steps, learning_rate, gain = COURSES[name]
    if isinstance(objective, WaveRNNObjective):
        batch = Batch(
            batch.waveform[:, : 2 * SPEC.hop_length],
            batch.mel[:, :, : 4 + 2],
            batch.f0_hz[:, :2],
            batch.voicing[:, :2],
        )
    optimizer = torch.optim.Adam(objective.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(objective, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None for parameter in objective.parameters())
    # That of a mixture leaps where a component narrows upon a sample, and comes back.
    assert min(losses[-10:]) < losses[0] - gain


def test_untrained_softmaxes_cost_the_logarithm_of_their_classes(batch):
    for name, nats in (("mulaw", math.log(256)), ("dual", 2 * math.log(256))):
        objective = objective_of(name)
        last = (
            [objective.model.output]
            if name == "mulaw"
            else [objective.model.coarse[2], objective.model.fine[2]]
        )
        for layer in last:
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
        assert loss_of(objective, batch).item() == pytest.approx(nats, rel=1e-5)


def test_an_untrained_flow_costs_what_the_signals_level_says(batch):
    # The identity: ½ ln 2π + ½ x² for sigma 1.
    found = loss_of(objective_of("waveflow"), batch).item()
    energy = float(batch.waveform.square().mean())
    assert found == pytest.approx(0.5 * math.log(2 * math.pi) + 0.5 * energy, abs=1e-4)


def test_silence_is_dithered_by_one_step_and_no_more(batch, monkeypatch):
    objective = objective_of("waveflow")
    heard = []
    encode = objective.model.encode
    monkeypatch.setattr(
        objective.model, "encode", lambda x, mel: (heard.append(x), encode(x, mel))[1]
    )
    silent = batch._replace(waveform=torch.zeros_like(batch.waveform))
    loss_of(objective, silent)
    assert heard[0].abs().max() <= 2**-16
    assert float(heard[0].std()) == pytest.approx(2**-15 / math.sqrt(12), rel=0.05)
