"""Griffin-Lim: exact lengths, alignment, convergence, and the magnitudes it starts from."""

import numpy as np
import pytest
import torch

from tests.metrics.golden import RATE, speech_like
from tests.oracles.magnitudes import inconsistency, nonnegative_solution
from vocoder.errors import MelError
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.metrics.mel_distance import mel_distance
from vocoder.metrics.pesq import pesq_wb
from vocoder.models.classical import griffin_lim, mel_to_magnitude

pytestmark = pytest.mark.slow

CENTER = PRESETS["speecht5_16k"]
SAME = CENTER.model_copy(update={"padding": "same"})
# A window that is no whole number of hops, and shorter than the FFT.
ODD_HOP = CENTER.model_copy(update={"hop_length": 200, "win_length": 800, "n_fft": 1024})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def speech_mel(spec: MelSpec, seconds: float = 3.0) -> torch.Tensor:
    return spec.mel(torch.from_numpy(speech_like())[None, : int(seconds * RATE)])


@pytest.mark.parametrize("spec", [CENTER, SAME, ODD_HOP], ids=["center", "same", "odd hop"])
def test_samples_are_frames_times_hop(spec):
    for frames in [1, 2, 3, 7, 40]:
        mel = speech_mel(spec)[:, :, 20 : 20 + frames].expand(2, -1, -1)
        waveform = griffin_lim(mel, spec, iterations=4, generator=seeded())
        assert waveform.shape == (2, frames * spec.hop_length)
        assert waveform.isfinite().all()
        assert waveform.std() > 1e-3


@pytest.mark.parametrize("spec", [CENTER, SAME, ODD_HOP], ids=["center", "same", "odd hop"])
def test_sounds_stay_where_they_were(spec):
    # A tone burst, quiet elsewhere: its energy must come out at its place. A wrong crop would
    # shift it by half a hop or more. Eight starting phases, for a steady mean.
    for start in (1000, 9077):
        signal = torch.zeros(1, 16000)
        burst = slice(start, start + 2048)
        signal[0, burst] = 0.5 * torch.sin(2 * torch.pi * 500 * torch.arange(2048) / RATE)
        mel = spec.mel(signal).expand(8, -1, -1)
        energy = griffin_lim(mel, spec, generator=seeded()).square().mean(0)
        center = (energy * torch.arange(len(energy))).sum() / energy.sum()
        assert float(center) == pytest.approx(start + 1024, abs=30)
        assert float(energy.sum()) == pytest.approx(float(signal.square().sum()), rel=0.1)


@pytest.mark.parametrize("spec", [CENTER, SAME], ids=["center", "same"])
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_spectral_convergence_falls_with_iterations(spec, momentum):
    mel = speech_mel(spec, 1.5)
    magnitude = mel_to_magnitude(mel, spec)[0].numpy()
    window = torch.hann_window(spec.win_length).numpy()
    lead = spec.n_fft // 2 if spec.padding == "center" else (spec.n_fft - spec.hop_length) // 2
    # Only frames that lie wholly inside what is left after cropping.
    first = -(-lead // spec.hop_length)
    start = first * spec.hop_length - lead
    errors = []
    for iterations in (1, 4, 16, 64):
        waveform = griffin_lim(mel, spec, iterations, momentum, seeded())[0, start:].numpy()
        count = 1 + (len(waveform) - spec.n_fft) // spec.hop_length
        part = magnitude[:, first : first + count]
        errors.append(inconsistency(waveform, part, window, spec.hop_length))
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < (0.25 if momentum else 0.35)


def test_momentum_converges_faster():
    mel = speech_mel(CENTER)
    reference = speech_like()
    distances = []
    for momentum in (0.0, 0.99):
        waveform = griffin_lim(mel, CENTER, 32, momentum, seeded())[0, : len(reference)]
        distances.append(mel_distance(reference, waveform, RATE))
    assert distances[1] < distances[0]


@pytest.mark.parametrize(
    "changes",
    [{}, {"padding": "same"}, {"power": 2}, {"log": "db"}, {"mean": -3.0, "scale": 2.0}],
    ids=str,
)
def test_quality_is_sane_for_every_kind_of_mel(changes):
    spec = CENTER.model_copy(update=changes)
    reference = torch.from_numpy(speech_like())
    waveform = griffin_lim(spec.mel(reference[None]), spec, 60, generator=seeded())[0]
    samples = min(len(reference), len(waveform))
    pair = reference[:samples], waveform[:samples]
    assert pesq_wb(*pair, RATE) > 2.0
    assert mel_distance(*pair, RATE) < 0.25


@pytest.mark.parametrize("power", [1, 2])
def test_magnitudes_explain_the_mel_as_well_as_exact_least_squares(power):
    spec = CENTER.model_copy(update={"power": power})
    mel = speech_mel(spec, 1.0)
    energy = (spec.power * spec.log_amplitude(mel)[0].double()).exp().numpy()
    filters = spec.filterbank().double().numpy()
    magnitude = mel_to_magnitude(mel, spec)[0].double().numpy()

    def residual(solution: np.ndarray) -> float:
        return float(np.linalg.norm(filters @ solution - energy) / np.linalg.norm(energy))

    assert magnitude.min() >= 0.0
    assert residual(magnitude**power) < residual(nonnegative_solution(filters, energy)) + 0.03
    outside = filters.sum(0) == 0
    assert outside.sum() > 10
    assert np.all(magnitude[outside] == 0.0)


def test_silence_comes_out_as_silence():
    mel = torch.full((1, 80, 20), float(CENTER.log_floor))
    assert griffin_lim(mel, CENTER, 4, generator=seeded()).abs().max() < 1e-6


def test_pre_emphasis_is_undone():
    spec = CENTER.model_copy(update={"pre_emphasis": 0.97})
    mel = speech_mel(spec, 1.0)
    plain = mel_to_magnitude(mel, CENTER)[0]
    undone = mel_to_magnitude(mel, spec)[0]
    omega = np.pi * np.arange(513) / 512
    response = np.abs(1 - 0.97 * np.exp(-1j * omega))
    torch.testing.assert_close(undone * torch.from_numpy(response).float()[:, None], plain)


def test_the_generator_decides_and_nothing_else():
    mel = speech_mel(CENTER, 0.5)
    first, again, other = (griffin_lim(mel, CENTER, 2, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_bad_input_is_refused():
    with pytest.raises(MelError, match="79 bins"):
        griffin_lim(torch.zeros(1, 79, 5), CENTER)
    with pytest.raises(MelError, match="at least one iteration"):
        griffin_lim(torch.zeros(1, 80, 5), CENTER, iterations=0)
    with pytest.raises(MelError, match="momentum"):
        griffin_lim(torch.zeros(1, 80, 5), CENTER, momentum=1.5)
