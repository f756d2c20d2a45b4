"""Training the source-filter vocoder: gradients, one batch learnt by heart, saving and loading."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.speech import (
    SMALL,
    SPECS,
    new_model,
    random_controls,
    relative_error,
    seeded,
    small_model,
    speech,
    speech_f0,
    speech_mel,
)
from vocoder.data.segments import Batch
from vocoder.dsp.analysis.modulation import band_envelope, envelope_modulation
from vocoder.dsp.sources.oscillators import boundary_phase, sample_phase, wrap
from vocoder.features.smoothing import smooth_mel
from vocoder.losses.spectral import SpectralLossConfig
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.models.source_filter import SourceFilter, SourceFilterConfig
from vocoder.training.objectives.source_filter import (
    SMOOTHINGS,
    SourceFilterLossConfig,
    SourceFilterObjective,
)

pytestmark = pytest.mark.slow

SPECTRAL = SpectralLossConfig(n_ffts=(1024, 256, 64), n_mels=(40, 20, 0))


def batch_of(model: SourceFilter, spec: str, frames: int = 40) -> Batch:
    """Two segments of a speech-like signal with the pitch it was made of."""
    waveform = speech(spec, frames, fading=False)
    mel = model.pad_context(speech_mel(spec, frames, fading=False))
    return Batch(
        waveform.repeat(2, 1),
        mel.repeat(2, 1, 1),
        speech_f0(spec, frames).repeat(2, 1),
        torch.ones(2, frames),
    )


def noise_for(batch: Batch, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch.waveform.shape, generator=seeded(seed))


def gradient_size(module: torch.nn.Module) -> float:
    return sum(float(p.grad.abs().sum()) for p in module.parameters() if p.grad is not None)


def test_the_waveform_does_not_teach_the_pitch_predictor():
    model = new_model(SPECS["speecht5_16k"])
    batch = batch_of(model, "speecht5_16k")
    objective = SourceFilterObjective(model, SourceFilterLossConfig(spectral=SPECTRAL))
    output = objective(batch, noise_for(batch), torch.tensor([True, False]))
    (output.losses["stft"] + output.losses["mel"]).backward()
    assert gradient_size(model.pitch_predictor) == 0
    assert gradient_size(model.filter_network) > 0

    model.zero_grad()
    output = objective(batch, noise_for(batch), torch.tensor([True, False]))
    (output.losses["f0"] + output.losses["voicing"]).backward()
    assert gradient_size(model.pitch_predictor) > 0
    assert gradient_size(model.filter_network) == 0


def test_pulses_stand_on_those_of_the_recording():
    spec, frames = "hifigan_22k", 60
    model = new_model(SPECS[spec])
    batch = batch_of(model, spec, frames)
    rate, hop = model.sample_rate, model.spec.hop_length
    # Two recordings that differ in time by about a third of a period.
    late = torch.stack([batch.waveform[0], batch.waveform[1].roll(50)])
    batch = batch._replace(waveform=late)
    from_prediction = torch.tensor([False, False])
    phase = sample_phase(boundary_phase(batch.f0_hz, rate, hop), batch.f0_hz, rate, hop)

    def away(pulses_in_step: bool) -> torch.Tensor:
        """Cycles between the maxima of reference and estimate, (2,)."""
        config = SourceFilterLossConfig(spectral=SPECTRAL, pulses_in_step=pulses_in_step)
        output = SourceFilterObjective(model, config)(batch, noise_for(batch), from_prediction)
        leads = []
        for waveform in (output.reference, output.estimate.detach()):
            envelope = band_envelope(waveform, rate, 1000, 4000)
            moved = phase[:, 4 * hop :][:, : waveform.shape[1]]
            leads.append(envelope_modulation(envelope, moved, hop, 883).lead[:, 4:-4])
        return wrap(leads[0] - leads[1]).abs().mean(1)

    assert away(True).max() < 0.04
    assert away(False).max() > 0.15


def projecting(**losses: float) -> SourceFilterObjective:
    config = SMALL.model_copy(update={"mel_correction": False, "mel_projection": 3})
    return SourceFilterObjective(
        new_model(SPECS["hifigan_22k"], config), SourceFilterLossConfig(spectral=SPECTRAL, **losses)
    )


def drawn(objective: SourceFilterObjective, steps: int) -> list[tuple[int, tuple[int, int]]]:
    """Passes, and bands and frames of the smoothing, of each step."""
    found = []
    for step in range(steps):
        _, _, passes, smoothing = objective.draw(
            2, 8, lambda stream, step=step: seeded(8 * step + stream)
        )
        assert (passes == passes[0]).all()
        assert torch.equal(smoothing[0], smoothing[1])
        found.append((int(passes[0]), tuple(smoothing[0].tolist())))
    return found


def test_a_share_of_the_batches_is_spoken_with_fewer_passes():
    found = drawn(projecting(fewer_passes=0.6), 600)
    shares = [found.count((passes, (1, 1))) / len(found) for passes in range(4)]
    assert shares == pytest.approx([0.2, 0.2, 0.2, 0.4], abs=0.06)


def test_a_share_of_the_batches_has_smoothed_mels_that_are_hardly_met():
    found = drawn(projecting(fewer_passes=0.5, smoothed_mels=0.4), 600)
    smoothed = [(passes, extent) for passes, extent in found if extent != (1, 1)]
    assert len(smoothed) / len(found) == pytest.approx(0.4, abs=0.06)
    assert {passes for passes, _ in smoothed} == {0, 1}
    assert {extent for _, extent in smoothed} == set(SMOOTHINGS)
    assert {passes for passes, extent in found if extent == (1, 1)} == {0, 1, 2, 3}


def test_a_batch_is_spoken_as_was_drawn():
    objective = projecting()
    model = objective.model
    batch = batch_of(model, "hifigan_22k")
    noise, true_pitch = noise_for(batch), torch.tensor([False, False])
    edge = objective.config.edge_frames(model.spec) * model.spec.hop_length
    left, right = model.context
    for passes, bands, frames in ((0, 1, 1), (2, 1, 1), (1, 3, 5)):
        gain = model.log_gain(smooth_mel(batch.mel, bands, frames))
        spoken = model.synthesis(
            model.controls(gain),
            batch.f0_hz,
            batch.voicing,
            noise,
            mel_gain=gain[:, left:-right],
            mel_projection=passes,
        )
        smoothing = torch.tensor([[bands, frames]] * 2)
        output = objective(batch, noise, true_pitch, torch.full((2,), passes), smoothing)
        torch.testing.assert_close(output.estimate, spoken[:, edge:-edge])
        # The recording stays what it is.
        torch.testing.assert_close(output.reference, batch.waveform[:, edge:-edge])
    # With fewer passes the networks answer for the distance from the mel, which is larger.
    losses = []
    for passes in (0, 1, 3):
        output = objective(batch, noise, true_pitch, torch.full((2,), passes))
        losses.append(float(output.losses["mel"].detach()))
    assert losses == sorted(losses, reverse=True)


def test_mixed_precision_leaves_the_pulses_where_they_are():
    spec, frames = "hifigan_22k", 60
    model = small_model(spec)
    batch = batch_of(model, spec, frames)
    with torch.no_grad():
        controls = model.controls(model.log_gain(batch.mel))
        given = (controls, batch.f0_hz, batch.voicing, noise_for(batch))
        exact = model.synthesis(*given, in_step_with=batch.waveform)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model.synthesis(*given, in_step_with=batch.waveform)
    assert relative_error(mixed, exact) < 1e-4


@pytest.mark.parametrize("spec", ["speecht5_16k", "hifigan_22k"])
def test_every_parameter_is_trained(spec):
    model = new_model(SPECS[spec])
    batch = batch_of(model, spec)
    objective = SourceFilterObjective(model, SourceFilterLossConfig(spectral=SPECTRAL))
    output = objective(batch, noise_for(batch), torch.tensor([True, False]))
    torch.stack(list(output.losses.values())).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("spec", ["speecht5_16k", "hifigan_22k"])
@pytest.mark.parametrize(
    ("corrected", "stft", "mel"), [(False, 0.7, 0.55), (True, 0.8, 0.8)], ids=["plain", "corrected"]
)
def test_one_batch_is_learnt_by_heart(spec, corrected, stft, mel):
    # The mel correction starts nearer to the goal, and has less to gain.
    config = SourceFilterConfig(
        channels=32,
        blocks=1,
        mel_correction=corrected,
        pitch=PitchPredictorConfig(channels=32, layers=2),
    )
    model = new_model(SPECS[spec], config)
    batch = batch_of(model, spec)
    objective = SourceFilterObjective(model, SourceFilterLossConfig(spectral=SPECTRAL))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    history = []
    for step in range(60):
        # Another noise each time: what is learnt is the voice, not this noise.
        losses = objective(batch, noise_for(batch, step), torch.zeros(2, dtype=torch.bool)).losses
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    first, last = history[0], history[-1]
    assert last["stft"] < stft * first["stft"]
    assert last["mel"] < mel * first["mel"]
    assert last["f0"] < 0.6 * first["f0"]
    assert last["voicing"] < 0.2 * first["voicing"]


def test_silent_segments_have_finite_gradients():
    model = new_model(SPECS["speecht5_16k"])
    spoken = batch_of(model, "speecht5_16k")
    floor = float(SPECS["speecht5_16k"].log_floor)
    batch = spoken._replace(
        waveform=torch.zeros_like(spoken.waveform), mel=torch.full_like(spoken.mel, floor)
    )
    objective = SourceFilterObjective(model, SourceFilterLossConfig(spectral=SPECTRAL))
    output = objective(batch, noise_for(batch), torch.tensor([True, False]))
    torch.stack(list(output.losses.values())).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_mixed_precision_sounds_the_same():
    model, mel = small_model("speecht5_16k"), speech_mel("speecht5_16k", 30)
    controls = random_controls("speecht5_16k", 30)
    with torch.inference_mode():
        exact = model(mel, **controls)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model(mel, **controls)
    assert mixed.dtype == torch.float32
    # Eight bits of mantissa in the corrections only: 40 dB, not the 20 dB of an envelope so coarse.
    assert relative_error(mixed, exact) < 0.02


@torch.no_grad()
def test_saved_and_loaded_it_sounds_the_same(tmp_path):
    model, mel = new_model(SPECS["hifigan_22k"], seed=1), speech_mel("hifigan_22k", 20)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other = new_model(SPECS["hifigan_22k"], seed=2)
    expected = model(mel, generator=seeded())
    assert relative_error(other(mel, generator=seeded()), expected) > 0.05
    state = load_file(tmp_path / "model.safetensors")
    assert set(state) == {
        name for name, _ in model.named_parameters()
    }  # nothing but what is learnt
    other.load_state_dict(state, strict=True)
    assert torch.equal(other(mel, generator=seeded()), expected)
    state.popitem()
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict(state, strict=True)
    with pytest.raises(RuntimeError, match="size mismatch"):
        new_model(SPECS["vocos_24k"]).load_state_dict(model.state_dict(), strict=True)


def test_noise_modulation_never_exceeds_the_whole():
    model, mel = new_model(SPECS["speecht5_16k"]), speech_mel("speecht5_16k", 40)
    gain = model.log_gain(model.pad_context(mel))
    for factor in (0.0, 1.0, 100.0, 1e4):
        with torch.no_grad():
            model.filter_network.output.weight[-2:] = factor * torch.randn(
                2, SMALL.channels, generator=seeded()
            )
            depth = model.controls(gain).modulation.norm(dim=-1)
        assert depth.max() <= 1 + 1e-6
        if factor == 0.0:
            assert depth.max() < 1e-6
        if factor >= 100.0:
            assert depth.max() > 0.99


def test_modulation_can_be_switched_off():
    config = SMALL.model_copy(update={"noise_modulation": False})
    plain = new_model(SPECS["speecht5_16k"], config)
    moved = new_model(SPECS["speecht5_16k"])
    mel, controls = speech_mel("speecht5_16k", 30), random_controls("speecht5_16k", 30)
    controls["voicing"] = torch.zeros(1, 30)
    with torch.inference_mode():
        # Without voice there is no pulse to move with; with it there is.
        torch.testing.assert_close(moved(mel, **controls), plain(mel, **controls))
        controls["voicing"] = torch.ones(1, 30)
        assert relative_error(moved(mel, **controls), plain(mel, **controls)) > 1e-4


def test_nothing_learnt_or_stored_is_complex():
    model = new_model(SPECS["speecht5_16k"])
    tensors = [*model.named_parameters(), *model.named_buffers()]
    assert len(tensors) > 20
    assert [name for name, tensor in tensors if tensor.is_complex()] == []
    gain = model.log_gain(model.pad_context(speech_mel("speecht5_16k", 9)))
    assert not any(control.is_complex() for control in model.controls(gain))


def test_harmonic_phase_has_unit_size():
    model = new_model(SPECS["speecht5_16k"])
    controls = model.controls(model.log_gain(model.pad_context(speech_mel("speecht5_16k", 9))))
    size = controls.harmonic_real.square() + controls.harmonic_imaginary.square()
    torch.testing.assert_close(size, torch.ones_like(size), atol=1e-3, rtol=0)
