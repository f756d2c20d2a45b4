"""Segments for universal vocoders: rates, mels, alignment of F0, what is known of a recording."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import hilbert

from vocoder.data.any_mel import AnyMelSource
from vocoder.data.manifest import Utterance, write_manifest
from vocoder.data.mel_draws import MelDraws
from vocoder.data.segments import DataConfig, Recording, recording_paths, window_margin
from vocoder.errors import CorpusError, RecipeError
from vocoder.features.mel import PRESETS
from vocoder.features.pitch import Pitch
from vocoder.models.source_filter.bands import check_served
from vocoder.training.recipe import load_recipe

OWN = PRESETS["vocos_24k"]
NAMES = ("speecht5_16k", "hifigan_22k", "espnet_24k")


def glide(rate: int, seconds: float = 4.0, start_hz: float = 150.0) -> Recording:
    """A tone that rises by an octave in `seconds`, with its frequency every 5 ms."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * start_hz * seconds / np.log(2) * (2 ** (time / seconds) - 1)
    samples = (8000 * np.sin(phase)).astype(np.int16)
    hop = round(0.005 * rate)
    centres = np.arange(1 + len(samples) // hop) * hop / rate
    f0_hz = torch.from_numpy(start_hz * 2 ** (centres / seconds)).float()
    about = Utterance(
        path=Path(f"{rate}.wav"), speaker=str(rate), split="train", duration_s=4, licence="none"
    )
    pitch = Pitch(f0_hz, torch.ones(len(f0_hz)))
    return Recording(about, Path(f"{rate}.wav"), samples, pitch, rate)


def source(*rates: int, seed: int = 0, **options) -> AnyMelSource:
    draws = MelDraws(presets=NAMES, **options)
    config = DataConfig(
        manifests=("unread",),
        segment_frames=60,
        batch_size=4,
        gain_db=(-6, 0),
        speeds=("7/8", "1/1", "8/7"),
        mels=draws,
    )
    return AnyMelSource([glide(rate) for rate in rates], config, draws, OWN, (9, 5), seed)


def steps_of_every_kind(cut: AnyMelSource) -> list[int]:
    """Steps whose mels are the recipe's own, each preset, and two random ones."""
    kinds: dict[object, int] = {}
    for step in range(200):
        spec = cut.spec_of(step)
        kinds.setdefault(spec.fingerprint, step)
    return list(kinds.values())[:8]


@pytest.mark.parametrize("rate", [16000, 22050, 24000])
def test_f0_follows_the_waveform_at_every_mel_and_rate(rate):
    cut, compared = source(rate), 0
    for step in steps_of_every_kind(cut):
        batch = cut.batch(step)
        spec = batch.spec
        frames = batch.f0_hz.shape[1]
        assert batch.waveform.shape == (4, frames * spec.hop_length)
        for wave, f0_hz, voicing in zip(batch.waveform, batch.f0_hz, batch.voicing, strict=True):
            phase = np.unwrap(np.angle(hilbert(wave.double().numpy())))
            centres = np.arange(frames) * spec.hop_length + spec.center_offset
            inside = slice(6, frames - 6)
            true_hz = np.gradient(phase)[centres[inside]] * spec.sample_rate / (2 * np.pi)
            voiced = voicing[inside].numpy() > 0
            # Where the recording begins or ends within the segment, the tone's edge rings.
            voiced[1:-1] &= voiced[:-2] & voiced[2:]
            error = np.abs(f0_hz[inside].numpy() / true_hz - 1)[voiced]
            compared += error.size
            assert error.size == 0 or np.median(error) < 2e-3
    assert compared > 500


def test_mel_and_waveform_are_of_the_same_signal():
    cut = source(16000)
    for step in steps_of_every_kind(cut):
        batch = cut.batch(step)
        frames, edge = batch.f0_hz.shape[1], window_margin(batch.spec)
        assert batch.mel.shape[2] == 9 + frames + 5
        own = batch.spec.mel(batch.waveform)[:, :, edge : frames - edge]
        given = batch.mel[:, :, 9 + edge : 9 + frames - edge]
        loud = own > float(own.max()) - 3
        torch.testing.assert_close(own[loud], given[loud], atol=2e-2, rtol=0)


def test_what_a_mel_does_not_show_of_a_narrow_recording_is_unknown():
    cut = source(16000, own=0.0, random=0.0)
    for step in range(30):
        batch = cut.batch(step)
        # Played slowly it ends at 6.65 kHz, and a mel up to 8 kHz shows so: all is known.
        limit = np.array([11025, 7600, 7600 * 8 / 7])
        found = batch.band_limit_hz.numpy()
        if batch.spec == PRESETS["hifigan_22k"]:
            assert np.abs(found[:, None] - limit).min(axis=1).max() < 1
        if batch.spec.sample_rate == 16000:
            assert np.all((found <= 8000) & (found >= 7600))
    assert source(24000, own=0.0, random=0.0).batch(0).band_limit_hz.min() >= 8000
    # Vocos's mel reaches to 12 kHz and shows that nothing sounds there.
    whole = source(16000, own=1.0, random=0.0).batch(0)
    assert whole.band_limit_hz.tolist() == [12000] * 4


def test_wideband_recordings_get_their_share_where_the_mel_reaches_above_the_others():
    cut = source(16000, 24000, own=1.0, random=0.0, wideband=1.0)
    rng = np.random.default_rng(0)
    first, second = cut.recordings
    assert all(cut.draw(rng, OWN) is second for _ in range(50))
    drawn = [cut.draw(rng, PRESETS["speecht5_16k"]) for _ in range(50)]
    assert any(each is first for each in drawn)
    assert any(each is second for each in drawn)


def test_a_batch_follows_from_seed_and_step_and_is_shared_out_to_processes():
    first, again = source(16000, 24000), source(16000, 24000)
    whole = first.batch(7)
    assert torch.equal(whole.waveform, again.batch(7).waveform)
    halves = [first.batch(7, rank, 2).waveform for rank in (0, 1)]
    assert torch.equal(whole.waveform, torch.cat(halves))
    assert not torch.equal(whole.waveform, source(16000, 24000, seed=1).batch(7).waveform)


def test_random_mels_are_served_and_differ():
    pool = MelDraws(presets=NAMES, pool=24).pool_of(0)
    for spec in pool:
        check_served(spec)
    assert len({spec.fingerprint for spec in pool}) == 24
    assert pool == MelDraws(presets=NAMES, pool=24).pool_of(0)


def test_bad_draws_are_refused_with_file_and_field():
    recipe = Path(__file__).parents[2] / "recipes" / "source_filter" / "universal.yaml"
    with pytest.raises(RecipeError, match=r"data\.mels\.presets.*'hifigan_22'.*hifigan_22k"):
        load_recipe(recipe, ["data.mels.presets=[hifigan_22]"])
    with pytest.raises(RecipeError, match=r"data\.mels.*own 0.9 and random 0.25"):
        load_recipe(recipe, ["data.mels.own=0.9"])


def test_held_out_speakers_are_validated_on_and_not_trained_on(tmp_path):
    def line(name: str, speaker: str, split: str) -> Utterance:
        return Utterance(path=name, speaker=speaker, split=split, duration_s=1, licence="none")

    rows = [line("a", "ann", "train"), line("b", "bob", "train"), line("c", "ann", "valid")]
    manifest = tmp_path / "manifest.jsonl"
    write_manifest(manifest, [*rows, line("d", "bob", "test")])

    def names(split: str, held_out: tuple[str, ...]) -> list[str]:
        return [each.name for each in recording_paths([str(manifest)], split, held_out)]

    assert names("train", ("bob",)) == ["a"]
    assert names("valid", ("bob",)) == ["b"]
    assert names("test", ("bob",)) == ["d"]
    assert names("valid", ()) == ["c"]
    with pytest.raises(CorpusError, match=r"held_out.*carl"):
        names("train", ("carl",))
