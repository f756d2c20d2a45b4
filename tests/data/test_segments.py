"""Segments: a batch follows from seed and step alone, and all its parts lie at the same time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.signal import hilbert

from vocoder.data.audio import write_audio
from vocoder.data.manifest import Utterance, write_manifest
from vocoder.data.segments import (
    DataConfig,
    Recording,
    SegmentSource,
    load_recordings,
    parse_speed,
)
from vocoder.errors import CorpusError
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.features.pitch import Pitch, PitchConfig

SPEC = PRESETS["speecht5_16k"]
CONTEXT = (9, 4)


def utterance(name: str, speaker: str = "somebody", samples: int = 16000) -> Utterance:
    return Utterance(
        path=Path(name), speaker=speaker, split="train", duration_s=samples / 16000, licence="none"
    )


def recording(
    waveform: np.ndarray,
    speaker: str = "somebody",
    f0_hz: np.ndarray | None = None,
    voicing: np.ndarray | None = None,
    spec: MelSpec = SPEC,
) -> Recording:
    """A recording in memory; F0 150 Hz and voiced throughout unless given."""
    samples = np.round(waveform * 32768).clip(-32768, 32767).astype(np.int16)
    frames = spec.frames(len(samples))
    f0 = torch.full((frames,), 150.0) if f0_hz is None else torch.from_numpy(f0_hz).float()
    voiced = torch.ones(frames) if voicing is None else torch.from_numpy(voicing).float()
    return Recording(
        utterance("x.wav", speaker), Path("x.wav"), samples, Pitch(f0, voiced), spec.sample_rate
    )


def noise(seconds: float, sample_rate: int = 16000, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * sample_rate))


def source(recordings: list[Recording], spec: MelSpec = SPEC, seed: int = 3, **options):
    values = {"manifests": ("none",), "segment_frames": 20, "batch_size": 6, "gain_db": (0.0, 0.0)}
    config = DataConfig(**{**values, **options})
    return SegmentSource(recordings, config, spec, CONTEXT, seed)


def start_of(segment: torch.Tensor, samples: np.ndarray) -> int | None:
    """Where a segment was cut from its recording, None if it reaches out of it."""
    wanted = np.round(segment.numpy() * 32768).astype(np.int16)
    windows = np.lib.stride_tricks.sliding_window_view(samples, 16)
    for first in np.flatnonzero((windows == wanted[:16]).all(axis=1)):
        if np.array_equal(samples[first : first + len(wanted)], wanted):
            return int(first)
    return None


# -- a function of seed and step -----------------------------------------------------------------


def test_a_batch_is_a_function_of_seed_and_step():
    recordings = [recording(noise(2, seed=i)) for i in range(3)]
    options = {"gain_db": (-12.0, 6.0), "speeds": ("7/8", "1/1", "8/7")}
    first, second = source(recordings, **options), source(recordings, **options)
    for step in (0, 1, 2):
        first.batch(step)  # what was asked for before has no influence
    for one, other in zip(first.batch(7)[:4], second.batch(7)[:4], strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first.batch(7).waveform, first.batch(8).waveform)
    other_seed = source(recordings, seed=4, **options)
    assert not torch.equal(first.batch(7).waveform, other_seed.batch(7).waveform)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_slices_of_all_processes_are_the_batch_of_one(processes: int):
    whole = source([recording(noise(2))], speeds=("1/1", "8/7"))
    parts = [whole.batch(5, rank, processes) for rank in range(processes)]
    for name in ("waveform", "mel", "f0_hz", "voicing"):
        together = torch.cat([getattr(part, name) for part in parts])
        torch.testing.assert_close(together, getattr(whole.batch(5), name), rtol=0, atol=1e-6)
    assert torch.equal(torch.cat([part.waveform for part in parts]), whole.batch(5).waveform)


def test_a_batch_that_cannot_be_shared_out_is_refused():
    with pytest.raises(CorpusError, match="batch_size 6 cannot be shared out to 4 processes"):
        source([recording(noise(1))]).batch(0, 0, 4)


def test_the_segments_of_a_batch_differ():
    starts = [
        start_of(segment, one.recordings[0].samples)
        for one in [source([recording(noise(4))])]
        for segment in one.batch(0).waveform
    ]
    assert len(set(starts)) == len(starts)


# -- everything at the same time -----------------------------------------------------------------


@pytest.mark.parametrize("preset", ["speecht5_16k", "hifigan_22k"])
def test_mel_and_waveform_are_cut_at_the_same_place(preset: str):
    spec = PRESETS[preset]
    assert spec.center_offset == {"speecht5_16k": 0, "hifigan_22k": 128}[preset]
    one = source([recording(noise(4, spec.sample_rate), spec=spec)], spec, batch_size=12)
    samples, hop, (left, right) = one.recordings[0].samples, spec.hop_length, CONTEXT
    whole = torch.from_numpy(samples.astype(np.float32) / 32768)
    compared = 0
    batch = one.batch(0)
    assert batch.mel.shape == (12, spec.n_mels, left + 20 + right)
    assert batch.waveform.shape == (12, 20 * hop)
    for segment, mel in zip(batch.waveform, batch.mel, strict=True):
        start = start_of(segment, samples)
        if start is None:
            continue
        frame, phase = divmod(start, hop)
        # The same frames of the whole utterance, whose mel is shifted to begin at this phase.
        utterance_mel = spec.mel(whole[None, phase:])[0]
        first, last = frame - left, frame + 20 + right
        if first < 4 or last > utterance_mel.shape[1] - 4:
            continue
        torch.testing.assert_close(mel, utterance_mel[:, first:last], rtol=0, atol=1e-4)
        beside = utterance_mel[:, first + 1 : last + 1]
        assert (mel - beside).abs().mean() > 0.05  # a frame off would have been seen
        compared += 1
    assert compared >= 4


def sine_glide(seconds: float, low_hz: float, octaves: float) -> tuple[np.ndarray, np.ndarray]:
    """A sine whose frequency rises exponentially, and that frequency at the mel's frames."""
    time = np.arange(int(seconds * 16000)) / 16000
    rate = octaves / seconds * np.log(2)
    phase = 2 * np.pi * low_hz * np.expm1(rate * time) / rate
    at_frames = low_hz * np.exp(rate * np.arange(SPEC.frames(len(time))) * 256 / 16000)
    return 0.5 * np.sin(phase), at_frames


def measured_f0_hz(segment: torch.Tensor, frames: int) -> np.ndarray:
    """Instantaneous frequency of a sine at the centres of its frames."""
    phase = np.unwrap(np.angle(hilbert(segment.double().numpy())))
    centres = np.arange(frames) * 256
    # Disturbed at the ends, by the cut.
    return np.gradient(phase)[centres].clip(1e-3) * 16000 / (2 * np.pi)


def cents(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return 1200 * np.log2(one / other)


@pytest.mark.parametrize("speed", ["1/1", "8/7", "7/8"])
def test_f0_lines_up_with_the_waveform(speed: str):
    # 2400 cents a second: a frame off would be 38 cents, a wrong speed 231.
    waveform, f0_hz = sine_glide(1.0, 90.0, 2.4)
    one = source([recording(waveform, f0_hz=f0_hz)], speeds=(speed,), batch_size=8)
    batch = one.batch(0)
    compared = 0
    for segment, expected in zip(batch.waveform, batch.f0_hz, strict=True):
        sounding = segment.abs().unfold(0, 256, 256).amax(dim=1) > 0.2
        if bool(sounding.all()):
            error = np.abs(cents(expected.numpy(), measured_f0_hz(segment, 20))[4:-4])
            assert np.median(error) < 8
            assert error.max() < 25
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize("speed", ["1/1", "8/7"])
def test_praats_f0_and_voicing_line_up_with_the_waveform(speed: str, tmp_path: Path):
    # Half a second of silence, then a buzz of five harmonics that rises 800 cents in 1.5 s.
    time = np.arange(24000) / 16000
    rate = 800 / 1200 / 1.5 * np.log(2)
    phase = 2 * np.pi * 110 * np.expm1(rate * time) / rate
    buzz = sum(np.sin(k * phase) / k for k in range(1, 6))
    waveform = np.concatenate([np.zeros(8000), 0.2 * buzz, np.zeros(4000)])
    write_audio(tmp_path / "a.wav", torch.from_numpy(waveform).float(), 16000)
    write_manifest(tmp_path / "m.jsonl", [utterance("a.wav", samples=36000)])
    loaded = load_recordings(
        [str(tmp_path / "m.jsonl")], "train", SPEC, PitchConfig(), tmp_path / "cache"
    )
    fast = int(speed[0]) / int(speed[2])
    one = source(loaded, speeds=(speed,), batch_size=16)
    batch = one.batch(1)
    voiced_frames = 0
    for segment, f0_hz, voicing in zip(batch.waveform, batch.f0_hz, batch.voicing, strict=True):
        level = segment.abs().unfold(0, 256, 256).amax(dim=1).numpy()
        sounding = np.flatnonzero(level > 0.05)
        voiced = np.flatnonzero(voicing.numpy())
        if len(sounding) < 4:
            assert len(voiced) <= 2
            continue
        # Praat's windows are 50 ms long: it may find the onset three frames early or late.
        assert abs(voiced[0] - sounding[0]) <= 3
        assert abs(voiced[-1] - sounding[-1]) <= 3
        # The fundamental alone, so that its phase can be followed.
        spectrum = np.fft.rfft(segment.numpy())
        spectrum[np.fft.rfftfreq(len(segment), 1 / 16000) > 195 * fast] = 0
        fundamental = torch.from_numpy(np.fft.irfft(spectrum, len(segment)))
        inner = voiced[4:-4]
        inner = inner[(inner >= 5) & (inner < 15)]
        measured = measured_f0_hz(fundamental, 20)[inner]
        assert np.abs(cents(f0_hz.numpy()[inner], measured)).max(initial=0) < 20
        voiced_frames += len(inner)
    assert voiced_frames > 40


def test_f0_is_scaled_by_the_speed():
    waveform, _ = sine_glide(1.0, 100.0, 1.0)
    one = source([recording(waveform)], speeds=("8/7",))
    torch.testing.assert_close(one.batch(0).f0_hz, torch.full((6, 20), 150 * 8 / 7))


# -- gain, choice, ends --------------------------------------------------------------------------


def test_gain_scales_waveform_and_mel():
    recordings = [recording(noise(2))]
    plain = source(recordings).batch(0)
    loud = source(recordings, gain_db=(6.0, 6.0)).batch(0)
    torch.testing.assert_close(loud.waveform, plain.waveform * 10 ** (6 / 20))
    heard = plain.mel > -4  # log10 of amplitude, well above the floor
    difference_db = 20 * (loud.mel - plain.mel)[heard]
    torch.testing.assert_close(difference_db, torch.full_like(difference_db, 6), rtol=0, atol=1e-3)


def test_gain_stays_in_its_range_and_uses_it():
    recordings = [recording(noise(2))]
    plain, ranged = source(recordings), source(recordings, gain_db=(-12.0, 6.0))
    gains_db = torch.cat(
        [
            20 * torch.log10(ranged.batch(s).waveform.std(dim=1) / plain.batch(s).waveform.std(1))
            for s in range(20)
        ]
    )
    assert gains_db.min() >= -12.001
    assert gains_db.min() < -10
    assert gains_db.max() <= 6.001
    assert gains_db.max() > 4


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_speaker_balance_decides_how_often_a_speaker_is_drawn(balance: float, share: float):
    # A has nine times as much as B, in three recordings; told apart by their level.
    recordings = [recording(np.full(48000, 0.1), "A") for _ in range(3)]
    recordings.append(recording(np.full(16000, 0.2), "B"))
    config = DataConfig(
        manifests=("none",),
        segment_frames=8,
        batch_size=16,
        gain_db=(0.0, 0.0),
        speaker_balance=balance,
    )
    one = SegmentSource(recordings, config, SPEC, (0, 0), seed=0)
    levels = torch.cat([one.batch(step).waveform.amax(dim=1) for step in range(40)])
    assert (levels > 0.15).float().mean() == pytest.approx(share, abs=0.05)


def test_segments_reach_a_quarter_beyond_either_end_into_zeros():
    quarter = 20 * 256 // 4
    one = source([recording(np.full(16000, 0.5))], batch_size=16)
    batches = [one.batch(step) for step in range(6)]
    waveform = torch.cat([batch.waveform for batch in batches])
    voicing = torch.cat([batch.voicing for batch in batches])
    assert set(torch.unique(waveform).tolist()) == {0.0, 0.5}
    silent = waveform == 0
    before = silent.long().cumprod(dim=1).sum(dim=1)
    after = silent.flip(1).long().cumprod(dim=1).sum(dim=1)
    for beyond in (before, after):
        assert quarter / 2 < beyond.max() <= quarter + 1
        assert (beyond == 0).any()
    # No voice is claimed where there is no recording.
    beyond_end = torch.arange(20)[None] * 256 >= (waveform.shape[1] - after + 256)[:, None]
    assert bool((voicing[beyond_end] == 0).all())
    assert bool((voicing[(before == 0) & (after == 0)] == 1).all())


def test_a_recording_shorter_than_a_segment_is_followed_by_zeros():
    batch = source([recording(np.full(1000, 0.5))]).batch(0)
    assert ((batch.waveform == 0.5).sum(dim=1) == 1000).all()
    assert (batch.waveform.unique() == torch.tensor([0.0, 0.5])).all()


# -- loading -------------------------------------------------------------------------------------


def test_recordings_are_the_files_bit_for_bit(tiny_corpus: Path, tmp_path: Path):
    manifest = str(tiny_corpus / "manifest.jsonl")
    told: list[tuple[int, int]] = []
    loaded = load_recordings(
        [manifest], "valid", SPEC, PitchConfig(), tmp_path, progress=lambda *n: told.append(n)
    )
    assert [one.path.name for one in loaded] == ["en_conf-onlyperson.wav"]
    assert told == [(1, 1)]
    data = loaded[0].path.read_bytes()
    pcm = np.frombuffer(data[data.index(b"data") + 8 :], dtype="<i2")
    assert np.array_equal(loaded[0].samples, pcm)
    assert len(loaded[0].pitch.f0_hz) == SPEC.frames(len(pcm))
    assert 0.3 < loaded[0].pitch.voicing.mean() < 0.9


def test_a_limit_takes_utterances_from_the_whole_split(tiny_corpus: Path, tmp_path: Path):
    manifest = str(tiny_corpus / "manifest.jsonl")
    names = [
        [
            one.path.name
            for one in load_recordings(
                [manifest], "train", SPEC, PitchConfig(), tmp_path, limit=limit
            )
        ]
        for limit in (None, 2, 9)
    ]
    assert names[1] == [names[0][0], names[0][2]]
    assert names[2] == names[0]


def test_recordings_are_resampled_to_the_mels_rate(tiny_corpus: Path, tmp_path: Path):
    manifest = str(tiny_corpus / "manifest.jsonl")
    spec = PRESETS["vocos_24k"]
    (loaded,) = load_recordings([manifest], "valid", spec, PitchConfig(), tmp_path)
    assert len(loaded.samples) == pytest.approx(loaded.utterance.duration_s * 24000, abs=1)


def test_a_split_that_is_nowhere_is_an_error(tiny_corpus: Path, tmp_path: Path):
    manifest = str(tiny_corpus / "manifest.jsonl")
    with pytest.raises(CorpusError, match=r"no 'dev' utterances in .*manifest\.jsonl"):
        load_recordings([manifest], "dev", SPEC, PitchConfig(), tmp_path)


def test_the_data_hash_knows_every_sample_and_utterance():
    samples = noise(1)
    changed = samples.copy()
    changed[777] += 0.001
    plain = source([recording(samples)]).data_hash
    assert len(plain) == 12
    assert plain == source([recording(samples)], seed=9).data_hash
    assert plain != source([recording(changed)]).data_hash
    assert plain != source([recording(samples, "somebody else")]).data_hash


def test_speeds_are_fractions():
    assert parse_speed("18/16") == (9, 8)
    for bad in ("fast", "1.1", "8/0", "0/8", "-8/7", "8/7/6", ""):
        with pytest.raises(ValueError, match="no fraction such as 9/8"):
            parse_speed(bad)
    with pytest.raises(ValidationError, match="no fraction"):
        DataConfig(manifests=("m",), speeds=("1/1", "fast"))
    with pytest.raises(ValidationError, match="lower gain comes first"):
        DataConfig(manifests=("m",), gain_db=(6.0, -12.0))
