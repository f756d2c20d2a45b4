"""Streams: the signal of the whole mel in pieces of any length, with a state of bounded size."""

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

import vocoder
from tests.models.speech import (
    ODD_HOP,
    SMALL,
    new_model,
    random_controls,
    seeded,
    small_model,
    speech_mel,
)
from vocoder.data.audio import read_audio
from vocoder.errors import MelError, PitchError, VocoderError
from vocoder.features.mel import PRESETS
from vocoder.models.source_filter import SourceFilter, rendering

WAV = Path(__file__).parents[2] / "egs" / "tiny" / "wavs" / "test" / "ru_0806.wav"
CHUNKINGS = (1, 4, 7, 16, "random")
OPTIONS: dict[str, dict[str, float]] = {
    "predicted": {},
    "given": {},
    "changed": {"f0_scale": 1.2, "formant_scale": 0.9, "breath_db": 3.0},
    "without mel": {"meets": "nothing"},
}


@lru_cache
def shipped(name: str) -> SourceFilter:
    """Shipped weights: `source_filter_16k`, or universal ones at a preset."""
    if name in PRESETS:
        return vocoder.load().for_mel(name)
    return vocoder.load(name)


def recorded_mel(model: SourceFilter, seconds: float) -> Tensor:
    start = int(0.5 * model.sample_rate)
    samples = int(seconds * model.sample_rate)
    return model.mel(read_audio(WAV, model.sample_rate).waveform[start : start + samples])


def sizes(chunking: int | str, frames: int) -> list[int]:
    if isinstance(chunking, int):
        rest = frames % chunking
        return [chunking] * (frames // chunking) + [rest] * (rest > 0)
    drawn: list[int] = []
    generator = seeded(4)
    while sum(drawn) < frames:
        size = int(torch.randint(1, 17, (), generator=generator))
        drawn.append(min(size, frames - sum(drawn)))
    return drawn


def spoken(stream, signals: dict[str, Tensor], chunking: int | str) -> Tensor:
    frames = sizes(chunking, signals["mel"].shape[-1])
    rates = {name: signal.shape[-1] // sum(frames) for name, signal in signals.items()}
    parts = {n: x.split([rates[n] * size for size in frames], -1) for n, x in signals.items()}
    pieces = [
        stream.push(**dict(zip(parts, each, strict=True)))
        for each in zip(*parts.values(), strict=True)
    ]
    return torch.cat([*pieces, stream.flush()], dim=1)


def outside_pitch(frames: int) -> dict[str, Tensor]:
    """A glide of two octaves in frames that are voiced more and less."""
    ramp = torch.linspace(0, 1, frames)[None]
    return {"f0_hz": 80 * 4**ramp, "voicing": 0.5 + 0.5 * torch.cos(40 * ramp)}


@pytest.mark.parametrize("name", [*PRESETS, "source_filter_16k"])
@torch.inference_mode()
def test_a_stream_is_the_whole_at_every_mel(name):
    model = shipped(name)
    mel = recorded_mel(model, 1.0)
    whole = model(mel, generator=seeded(), low_band_projection=0)
    found = spoken(model.stream(generator=seeded()), {"mel": mel}, "random")
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=0)
    assert whole.abs().max() > 0.1


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("name", ["vocos_24k", "source_filter_16k"])
@torch.inference_mode()
def test_a_stream_is_the_whole_in_pieces_of_any_length(name, chunking, options):
    model = shipped(name)
    mel = recorded_mel(model, 0.7)
    pitch = outside_pitch(mel.shape[2]) if options == "given" else {}
    whole = model(mel, **pitch, generator=seeded(), low_band_projection=0, **OPTIONS[options])
    stream = model.stream(generator=seeded(), **OPTIONS[options])
    found = spoken(stream, {"mel": mel, **pitch}, chunking)
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["vocos_24k", "espnet_24k"])
@torch.inference_mode()
def test_with_the_low_band_projected_a_stream_is_the_whole(name):
    model = shipped(name)
    mel = recorded_mel(model, 2.0)
    whole = model(mel, generator=seeded(), low_band_projection=1)
    stream = model.stream(generator=seeded(), low_band_projection=1)
    assert stream.lookahead_frames < mel.shape[2] - 30
    found = spoken(stream, {"mel": mel}, "random")
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["vocos_24k", "espnet_22k", "speecht5_16k"])
@torch.inference_mode()
def test_more_silence_after_an_utterance_changes_nothing(name, monkeypatch):
    model = shipped(name)
    mel = recorded_mel(model, 0.4)  # cut within speech
    short = model(mel, generator=seeded(), low_band_projection=4)
    monkeypatch.setattr(rendering, "SILENT_WINDOWS", 1000)
    assert model.stream(low_band_projection=4).rendering.silent_frames > 100
    long = model(mel, generator=seeded(), low_band_projection=4)
    torch.testing.assert_close(short, long, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("hop", "window", "padding"), [(256, 1280, "same"), (256, 2048, "center")])
@torch.inference_mode()
def test_a_stream_begins_as_the_whole_with_windows_of_many_hops(hop, window, padding):
    """The first pieces are then shorter than the part that fewer windows cover."""
    fields = {"hop_length": hop, "win_length": window, "n_fft": 2048, "padding": padding}
    model = shipped("vocos_24k").for_mel(PRESETS["vocos_24k"].model_copy(update=fields))
    mel = recorded_mel(model, 0.7)
    whole = model(mel, generator=seeded(), low_band_projection=0)
    found = spoken(model.stream(generator=seeded()), {"mel": mel}, 1)
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=0)
    assert whole[:, :window].abs().max() > 0.1


@pytest.mark.parametrize(
    "options", [{}, {"mel_correction": True}, {"mel_correction": True, "mel_projection": 1}]
)
@torch.inference_mode()
def test_a_stream_is_the_whole_with_a_hop_of_an_odd_number_of_samples(options):
    """The filters' windows are then not evenly spaced."""
    model = new_model(ODD_HOP, SMALL.model_copy(update=options)).eval()
    mel = recorded_mel(model, 1.0)
    for change in ({}, {"f0_scale": 0.8}):
        whole = model(mel, generator=seeded(), low_band_projection=0, **change)
        assert whole.shape[1] == 275 * mel.shape[2]
        for chunking in (1, "random"):
            found = spoken(model.stream(generator=seeded(), **change), {"mel": mel}, chunking)
            torch.testing.assert_close(found, whole, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_no_frames_give_no_samples():
    model = shipped("vocos_24k")
    mel = recorded_mel(model, 0.7)
    stream = model.stream(generator=seeded())
    pieces = [
        stream.push(mel[:, :, :30]),
        stream.push(mel[:, :, 30:30]),
        stream.push(mel[:, :, 30:]),
    ]
    assert pieces[1].shape == (1, 0)
    whole = model(mel, generator=seeded(), low_band_projection=0)
    torch.testing.assert_close(torch.cat([*pieces, stream.flush()], 1), whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "change", [{"breath_db": 100.0}, {"f0_scale": 0.0}, {"f0_scale": float("nan")}]
)
def test_changes_of_the_voice_out_of_range_are_refused(change: dict[str, float]):
    with pytest.raises((ValueError, PitchError), match=next(iter(change))):
        shipped("vocos_24k").stream(**change)


@torch.inference_mode()
def test_after_an_error_within_a_push_another_utterance_begins():
    model = shipped("vocos_24k")
    mel = recorded_mel(model, 0.7)
    stream = model.stream(generator=seeded(), f0_scale=80.0)
    with pytest.raises(PitchError, match="must lie between"):
        stream.push(mel)
    assert stream.flush().shape == (1, 0)
    stream.f0_scale = 1.0
    assert stream.push(mel).shape[1] > 0


@pytest.mark.parametrize("frames", [1, 2, 22, 23, 24])
@torch.inference_mode()
def test_utterances_shorter_than_the_lookahead_come_with_the_flush(frames):
    model = shipped("vocos_24k")
    mel = recorded_mel(model, 0.7)[:, :, 20 : 20 + frames]
    whole = model(mel, generator=seeded(), low_band_projection=0)
    assert whole.shape == (1, frames * 256)
    found = spoken(model.stream(generator=seeded()), {"mel": mel}, 1)
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_samples_come_as_early_as_the_lookahead_says():
    model = shipped("vocos_24k")
    stream, hop = model.stream(), model.spec.hop_length
    ready = [stream.push(frame).shape[1] for frame in recorded_mel(model, 0.7).split(1, dim=2)]
    lookahead = stream.lookahead_frames
    assert ready[:lookahead] == [0] * lookahead
    assert hop <= ready[lookahead] < 2 * hop
    assert set(ready[lookahead + 1 :]) == {hop}
    # Without the mel to meet no window of its own is waited for; its envelope wants three rounds.
    assert model.stream(meets="nothing").lookahead_frames <= lookahead - 4 * 3
    assert lookahead < model.stream(f0_scale=1.1).lookahead_frames <= lookahead + 3
    # In the low band the whole looks much further ahead.
    assert model.lookahead_frames > lookahead + 64 * 3
    assert model.latency_seconds == model.lookahead_frames * hop / 24000


@torch.inference_mode()
def test_a_flushed_stream_begins_anew():
    model = small_model("hifigan_22k")
    signals = {"mel": speech_mel("hifigan_22k", 30), **random_controls("hifigan_22k", 30)}
    stream = model.stream()
    first = spoken(stream, signals, 4)
    assert torch.equal(stream.flush(), first[:, :0])
    assert torch.equal(spoken(stream, signals, 4), first)


@torch.inference_mode()
def test_a_batch_draws_one_noise_whatever_the_pieces():
    model = small_model("vocos_24k")
    mel = speech_mel("vocos_24k", 40).repeat(2, 1, 1)
    pitch = {name: value.repeat(2, 1) for name, value in outside_pitch(40).items()}
    whole = model(mel, **pitch, generator=seeded())
    found = spoken(model.stream(2, generator=seeded()), {"mel": mel, **pitch}, 7)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=0)
    assert (whole[0] - whole[1]).abs().max() > 1e-3


@pytest.mark.parametrize("given", [True, False])
@torch.inference_mode()
def test_a_saved_state_goes_on_in_another_stream(given):
    model = shipped("source_filter_16k")
    mel = recorded_mel(model, 0.7)
    signals = {"mel": mel, **(outside_pitch(mel.shape[2]) if given else {})}
    expected = spoken(model.stream(generator=seeded()), signals, 1)
    for frames in (3, 25):
        before = {name: signal[..., :frames] for name, signal in signals.items()}
        after = {name: signal[..., frames:] for name, signal in signals.items()}
        stream, other = model.stream(generator=seeded()), model.stream(generator=seeded(9))
        start = stream.push(**before)
        state = stream.state()
        assert all(isinstance(tensor, Tensor) for tensor in state.values())
        spoken(stream, after, 7)  # a state is a copy
        other.restore(state)
        found = torch.cat([start, spoken(other, after, 1)], dim=1)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_the_state_does_not_grow():
    model = small_model("vocos_24k")
    stream, mel = model.stream(), speech_mel("vocos_24k", 120)
    elements = []
    for frame in mel.split(1, dim=2):
        stream.push(frame)
        elements.append(sum(tensor.numel() for tensor in stream.state().values()))
    # But for the remainder of a block of 16 numbers of noise.
    assert max(elements[60:]) - min(elements[60:]) < 16


def test_what_does_not_fit_the_stream_is_refused():
    model = small_model("vocos_24k")
    mel = speech_mel("vocos_24k", 8)
    f0_hz = torch.full((1, 8), 120.0)
    stream = model.stream()
    with pytest.raises(MelError, match="2 mels for a stream of 1"):
        stream.push(mel.repeat(2, 1, 1))
    with pytest.raises(PitchError, match="0 Hz in frame 0"):
        stream.push(mel, 0 * f0_hz)
    stream.push(mel, f0_hz)
    with pytest.raises(PitchError, match="f0_hz: give it with every push"):
        stream.push(mel)
    with pytest.raises(ValueError, match="a state of 0 generators for 1"):
        model.stream(generator=seeded()).restore(stream.state())
    with pytest.raises(VocoderError, match="GriffinLim cannot stream"):
        vocoder.load("griffin_lim").stream()
    assert not vocoder.load("griffin_lim").streams
    assert model.streams


@torch.inference_mode()
def test_a_state_of_other_options_is_refused():
    model = shipped("vocos_24k")
    stream = model.stream()
    stream.push(recorded_mel(model, 0.7))
    for other in (
        model.stream(mel_projection=1),
        model.stream(f0_scale=1.2),
        model.stream(batch=2),
        shipped("hifigan_22k").stream(),
    ):
        with pytest.raises(ValueError, match="make the stream with the same arguments"):
            other.restore(stream.state())
    with pytest.raises(ValueError, match="not the state of a stream"):
        stream.restore({})
