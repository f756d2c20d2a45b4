"""The source-filter vocoder: lengths, padding, chunks, latency and reach, what is refused."""

import math

import pytest
import torch

from tests.models.speech import (
    SPECS,
    decibels,
    floor_mel,
    new_model,
    random_controls,
    relative_error,
    seeded,
    small_model,
    speech,
    speech_mel,
)
from vocoder.errors import AudioError, MelError, OptionError, PitchError
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.models.source_filter import SourceFilterConfig

EVERY_SPEC = pytest.mark.parametrize("spec", SPECS)
# The loop over the output's own mel reaches further than everything else: with it and without.
BOTH_WAYS = pytest.mark.parametrize("corrected", [True, False], ids=["corrected", "plain"])


# ---- lengths, batches, chunks --------------------------------------------------------------------


@EVERY_SPEC
@torch.inference_mode()
def test_samples_are_frames_times_hop(spec):
    model, mel = small_model(spec), speech_mel(spec, 60)
    for frames in range(1, 51):
        waveform = model(mel[:, :, 5 : 5 + frames], generator=seeded())
        assert waveform.shape == (1, frames * SPECS[spec].hop_length)
        assert waveform.isfinite().all()
        assert waveform.std() > 1e-3


def padded_batch(spec: str, frames: tuple[int, ...]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Mels that end in silence, each alone, and all of them padded with the floor."""
    mels = [speech_mel(spec, n) for n in frames]
    padded = floor_mel(spec, max(frames)).repeat(len(frames), 1, 1)
    for row, mel in enumerate(mels):
        padded[row, :, : mel.shape[2]] = mel
    return mels, padded


@EVERY_SPEC
@BOTH_WAYS
@torch.inference_mode()
def test_padding_with_the_floor_changes_nothing(spec, corrected):
    model, hop, frames = (
        small_model(spec, mel_correction=corrected),
        SPECS[spec].hop_length,
        (33, 60, 41),
    )
    mels, padded = padded_batch(spec, frames)
    controls = random_controls(spec, 60, batch=3)
    together = model(padded, **controls)
    for row, (mel, n) in enumerate(zip(mels, frames, strict=True)):
        own = {
            name: values[row : row + 1, : n * hop if name == "noise" else n]
            for name, values in controls.items()
        }
        alone = model(mel, **own)
        torch.testing.assert_close(together[row : row + 1, : n * hop], alone, atol=1e-4, rtol=0)
        assert not (together[row, n * hop :].abs() > 2e-4).any()


@EVERY_SPEC
@torch.inference_mode()
def test_padding_with_the_floor_changes_no_predicted_pitch(spec):
    model, hop, frames = small_model(spec), SPECS[spec].hop_length, (33, 60, 41)
    mels, padded = padded_batch(spec, frames)
    noise = torch.randn(3, 60 * hop, generator=seeded())
    together = model(padded, noise=noise)
    pitch = model.estimate_pitch(model.log_gain(model.pad_context(padded)))
    for row, (mel, n) in enumerate(zip(mels, frames, strict=True)):
        own = model.estimate_pitch(model.log_gain(model.pad_context(mel)))
        torch.testing.assert_close(pitch.f0_hz[row, :n], own.f0_hz[0], rtol=3e-7, atol=0)
        torch.testing.assert_close(pitch.voicing[row, :n], own.voicing[0], rtol=1e-5, atol=0)
        alone = model(mel, noise=noise[row : row + 1, : n * hop])
        torch.testing.assert_close(together[row : row + 1, : n * hop], alone, atol=1e-4, rtol=0)


@EVERY_SPEC
@BOTH_WAYS
@torch.inference_mode()
def test_an_utterance_cut_off_in_a_vowel_ends_as_if_silence_followed(spec, corrected):
    # The mel stops at full level: with the floor after it the last frames are the same, but for
    # noise that begins after the end, which only the longer one has.
    model, hop = small_model(spec, mel_correction=corrected), SPECS[spec].hop_length
    mel = speech_mel(spec, 40, fading=False)[:, :, :28]
    assert decibels(speech(spec, 40, fading=False)[:, 27 * hop : 28 * hop].std()) > -30
    noise = torch.randn(1, 28 * hop, generator=seeded())
    alone = model(mel, noise=noise)
    longer = torch.cat([mel, floor_mel(spec, 9)], dim=2)
    silent_after = torch.nn.functional.pad(noise, (0, 9 * hop))
    found = model(longer, noise=silent_after)[:, : 28 * hop]
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=0)


@EVERY_SPEC
@BOTH_WAYS
@pytest.mark.parametrize("chunk_frames", [1, 7, 20])
@torch.inference_mode()
def test_chunks_are_the_whole(spec, corrected, chunk_frames):
    model, mel = small_model(spec, mel_correction=corrected), speech_mel(spec, 45)
    controls = random_controls(spec, 45)
    whole = model(mel, **controls)
    pieces = list(model.stream().chunks(mel, **controls, chunk_frames=chunk_frames))
    hop = SPECS[spec].hop_length
    assert [p.shape[1] / hop for p in pieces[1:-2]] == [chunk_frames] * (len(pieces) - 3)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=5e-6, rtol=0)


@EVERY_SPEC
@BOTH_WAYS
@pytest.mark.parametrize("chunk_frames", [1, 7, 20])
@torch.inference_mode()
def test_chunks_draw_the_noise_of_the_whole(spec, corrected, chunk_frames):
    model, mel = small_model(spec, mel_correction=corrected), speech_mel(spec, 45)
    controls = random_controls(spec, 45)
    del controls["noise"]
    whole = model(mel, **controls, generator=seeded())
    chunked = model(mel, **controls, generator=seeded(), chunk_frames=chunk_frames)
    torch.testing.assert_close(chunked, whole, atol=5e-6, rtol=0)
    assert relative_error(model(mel, **controls, generator=seeded(1)), whole) > 0.05


@EVERY_SPEC
@torch.inference_mode()
def test_chunks_are_the_whole_with_predicted_pitch(spec):
    # F0 predicted in pieces differs in its last bit, which the phase counts up: 1e-7 of some
    # hundred cycles, at the highest harmonics a hundred times that.
    model, mel = small_model(spec), speech_mel(spec, 45)
    whole = model(mel, generator=seeded())
    chunked = model(mel, generator=seeded(), chunk_frames=7)
    assert relative_error(chunked, whole) < 0.02


@EVERY_SPEC
@torch.inference_mode()
def test_utterances_of_a_batch_do_not_hear_one_another(spec):
    model, mel, controls = small_model(spec), speech_mel(spec, 30), random_controls(spec, 30, 2)
    pair = torch.cat([mel, floor_mel(spec, 30)])
    alone = model(mel, **{name: value[:1] for name, value in controls.items()})
    torch.testing.assert_close(model(pair, **controls)[:1], alone, atol=1e-5, rtol=0)


# ---- latency and receptive field -----------------------------------------------------------------


def reach(model, spec: str, given_pitch: bool) -> tuple[int, int]:
    """First and last mel frame, counted from its own, that the samples of a frame depend on."""
    frame, frames, hop = 40, 80, SPECS[spec].hop_length
    mel, controls = speech_mel(spec, frames).clone().requires_grad_(), random_controls(spec, frames)
    if not given_pitch:
        controls = {"noise": controls["noise"]}
    waveform = model(mel, **controls)[0, frame * hop : (frame + 1) * hop]
    weights = torch.randn(hop, generator=seeded(5))
    (gradient,) = torch.autograd.grad((waveform * weights).sum(), mel)
    touched = gradient[0].abs().amax(dim=0).nonzero()[:, 0] - frame
    return int(touched.min()), int(touched.max())


# Pitch looked at less far ahead than the filters, further, and filters that look ahead not at all.
REACHES = {
    "small": SourceFilterConfig(
        channels=8, blocks=2, pitch=PitchPredictorConfig(channels=8, layers=2)
    ),
    "far pitch": SourceFilterConfig(
        channels=8, blocks=1, pitch=PitchPredictorConfig(channels=8, layers=5, left=1, right=2)
    ),
    "long windows": SourceFilterConfig(
        channels=8, blocks=3, left=4, right=0, steps_per_frame=1, window_steps=4,
        pitch=PitchPredictorConfig(channels=8, layers=2, right=0),
    ),
}  # fmt: skip


@EVERY_SPEC
@BOTH_WAYS
@pytest.mark.parametrize("config", REACHES)
def test_declared_lookahead_and_history_hold_and_are_used(spec, corrected, config):
    chosen = REACHES[config].model_copy(update={"mel_correction": corrected})
    model = new_model(SPECS[spec], chosen)
    filters = model.filter_network.context
    first, last = reach(model, spec, given_pitch=True)
    assert -model.history_frames <= first <= -(filters[0] + 1)
    assert filters[1] + 1 <= last <= model.lookahead_frames
    # With the pitch from the mel, too, the future stays out of reach (the past does not: a phase
    # is the sum of all F0 there was).
    last = reach(model, spec, given_pitch=False)[1]
    assert model.context[1] + 1 <= last <= model.lookahead_frames
    # Nor is more claimed than that: the frames of a window are counted as if steps were frames.
    assert model.lookahead_frames <= last + model.config.window_steps / model.config.steps_per_frame


@EVERY_SPEC
@torch.inference_mode()
def test_one_changed_frame_is_heard_within_its_reach_only(spec):
    model, hop = small_model(spec), SPECS[spec].hop_length
    mel, controls = speech_mel(spec, 60), random_controls(spec, 60)
    changed = mel.clone()
    changed[:, :, 30] += 0.5
    difference = (
        (model(changed, **controls) - model(mel, **controls))[0].abs().unflatten(0, (60, hop))
    )
    heard = (difference.amax(dim=1) > 1e-6).nonzero()[:, 0]
    assert heard.min() >= 30 - model.lookahead_frames
    assert heard.max() <= 30 + model.history_frames
    loudest = int(difference.square().sum(dim=1).argmax())
    assert loudest in (29, 30)
    assert model.latency_seconds == model.lookahead_frames * hop / model.sample_rate


# ---- what is refused -----------------------------------------------------------------------------


def bad_frame(values: torch.Tensor, value: float) -> torch.Tensor:
    values = values.clone()
    values[0, 3] = value
    return values


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda c: {"mel": c["mel"][:, :79]}, MelError, "79 bins, the spec has 80"),
        (lambda c: {"mel": c["mel"][0]}, MelError, "batch, n_mels, frames"),
        (lambda c: {"mel": c["mel"][:, :, :0]}, MelError, "empty"),
        (lambda c: {"mel": c["mel"] * math.nan}, MelError, "NaN or infinite"),
        (lambda c: {"f0_hz": bad_frame(c["f0_hz"], 0.0)}, PitchError, "0 Hz in frame 3.*voicing 0"),
        (lambda c: {"f0_hz": bad_frame(c["f0_hz"], -5.0)}, PitchError, "-5 Hz in frame 3"),
        (lambda c: {"f0_hz": bad_frame(c["f0_hz"], 8000.0)}, PitchError, "8000 Hz in frame 3"),
        (lambda c: {"f0_hz": bad_frame(c["f0_hz"], math.nan)}, PitchError, "nan Hz in frame 3"),
        (lambda c: {"f0_hz": c["f0_hz"][:, :9]}, PitchError, r"f0_hz has shape \(1, 9\)"),
        (lambda c: {"voicing": c["voicing"][0]}, PitchError, r"voicing has shape \(10,\)"),
        (lambda c: {"voicing": bad_frame(c["voicing"], 1.5)}, PitchError, "between 0 .* and 1"),
        (lambda c: {"voicing": bad_frame(c["voicing"], -0.1)}, PitchError, "between 0 .* and 1"),
        (lambda c: {"voicing": bad_frame(c["voicing"], math.nan)}, PitchError, "between 0"),
        (lambda c: {"f0_scale": 0.0}, OptionError, "f0_scale is 0"),
        (lambda c: {"f0_scale": -1.0}, OptionError, "f0_scale is -1"),
        (lambda c: {"f0_scale": math.nan}, OptionError, "f0_scale is nan"),
        (lambda c: {"f0_scale": 100.0}, PitchError, "between 1 and 8000 Hz"),
        (lambda c: {"noise": c["noise"][:, 1:]}, AudioError, r"noise has shape \(1, 2559\)"),
        (lambda c: {"noise": c["noise"].repeat(1, 2)}, AudioError, "noise has shape"),
        (lambda c: {"chunk_frames": 0}, ValueError, "chunk_frames is 0"),
    ],
)
def test_bad_input_is_refused_in_one_line(change, error, message):
    arguments = {"mel": speech_mel("speecht5_16k", 10), **random_controls("speecht5_16k", 10)}
    model = small_model("speecht5_16k")
    with torch.inference_mode(), pytest.raises(error, match=message) as caught:
        model(**{**arguments, **change(arguments)})
    assert "\n" not in str(caught.value)


def test_a_hop_that_steps_do_not_divide_is_refused():
    with pytest.raises(MelError, match="hop_length 300 is no multiple"):
        new_model(SPECS["espnet_24k"], SourceFilterConfig(steps_per_frame=7))


@torch.inference_mode()
def test_a_mel_that_the_config_cannot_meet_is_refused():
    model = small_model("speecht5_16k", mel_correction=False)
    mel = torch.full((1, 80, 3), -4.0)
    with pytest.raises(OptionError, match="with mel_projection 0: this model has no mel"):
        model(mel, meets="mel")
    with pytest.raises(OptionError, match="meets is 'pitch': mel, envelope, nothing"):
        model(mel, meets="pitch")
