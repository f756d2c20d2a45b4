import numpy as np
import pytest

from tests.golden import networks
from tests.metrics.golden import RATE, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.speaker_similarity import speaker_similarity

pytestmark = pytest.mark.slow


def test_golden_value():
    assert speaker_similarity(*networks.golden_pair(), RATE) == pytest.approx(
        networks.read()["speaker_similarity"], abs=1e-5
    )


@pytest.mark.parametrize("name", ["test/ru_0806", "train/es_please-try-again"])
def test_a_recording_with_itself_gets_one_exactly(name):
    signal = networks.recording(name)
    assert speaker_similarity(signal, signal, RATE) == 1.0


def test_it_is_symmetric():
    pair = networks.golden_pair()
    assert speaker_similarity(*pair, RATE) == speaker_similarity(*pair[::-1], RATE)


def test_one_speaker_is_nearer_than_another():
    allison = [networks.recording(f"{name}")[:36000] for name in (
        "valid/en_conf-onlyperson", "train/en_conf-now-recording")]  # fmt: skip
    carlo = networks.recording("test/it_dir-firstlast")[:36000]
    same, other = (speaker_similarity(allison[0], x, RATE) for x in (allison[1], carlo))
    assert same > 0.75 > 0.6 > other > 0.0


def test_noise_lowers_the_score():
    clean = networks.recording("test/ru_followme_sorry")
    scores = [speaker_similarity(clean, with_noise(clean, snr), RATE) for snr in (40, 20, 10, 0)]
    assert scores[0] < 1.0
    assert np.all(np.diff(scores) < -0.05)


def test_level_counts_above_30_dbfs_only():
    clean, noisy = networks.golden_pair()
    expected = speaker_similarity(clean, noisy, RATE)
    assert speaker_similarity(clean, 0.3 * noisy, RATE) < expected - 0.05
    quiet = speaker_similarity(0.02 * clean, 0.02 * noisy, RATE)
    assert speaker_similarity(0.02 * clean, 0.01 * noisy, RATE) == pytest.approx(quiet, abs=1e-3)


@pytest.mark.parametrize("name", ["reference", "estimate"])
def test_where_no_speech_is_there_is_no_voice(name):
    signal = networks.recording()
    empty = {"silence": np.zeros_like(signal), "shorter than a frame": signal[:400]}
    for quiet in empty.values():
        speech = signal[: len(quiet)]
        if len(quiet) < len(signal):
            speech = quiet
        pair = (quiet, speech) if name == "reference" else (speech, quiet)
        with pytest.raises(AudioError, match="no speech is found"):
            speaker_similarity(*pair, RATE)
