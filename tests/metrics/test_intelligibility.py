import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden import networks
from tests.metrics.golden import RATE, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.intelligibility import edit_distance, intelligibility

pytestmark = pytest.mark.slow

NOW_RECORDING = "train/en_conf-now-recording"


def test_golden_value():
    golden = networks.read()
    found = intelligibility(*networks.golden_pair(), RATE)
    assert (found.expected, found.heard) == (golden["expected"], golden["heard"])
    assert found.cer == pytest.approx(golden["cer"])


def test_what_is_heard_does_not_depend_on_what_was_heard_before():
    a, b = (networks.recording(f"train/{name}") for name in (
        "es_please-try-again", "fr_dictate_truncating_audio"))  # fmt: skip
    a, b = a[:24000], b[:24000]
    first, second = intelligibility(a, b, RATE), intelligibility(b, a, RATE)
    assert (first.expected, first.heard) == (second.heard, second.expected)
    assert first.expected != first.heard


def test_a_recording_with_itself_loses_nothing_and_noise_takes_words_away():
    clean = networks.recording(NOW_RECORDING)[:24000]
    assert intelligibility(clean, clean, RATE).cer == 0.0
    assert intelligibility(clean, with_noise(clean, 10.0), RATE).cer > 0.2


def test_a_known_transcript_takes_the_place_of_the_recording():
    signal = networks.recording(NOW_RECORDING)
    said = "  The conference is now\nbeing recorded "
    found = intelligibility(np.zeros_like(signal), signal, RATE, transcript=said)
    assert found == (0.0, "the conference is now being recorded", found.expected)


def test_another_recogniser_hears_16_khz():
    def length(waveform):
        return f"{waveform.numel()} samples {'loud' if waveform.abs().max() > 0.5 else 'low'}"

    loud = np.full(24000, 0.9, np.float32)
    found = intelligibility(loud, 0.1 * loud, 24000, recognise=length)
    assert found == (2 / 18, "16000 samples loud", "16000 samples low")


def test_in_silence_nothing_is_heard_which_the_recording_may_not_be():
    signal = networks.recording(NOW_RECORDING)
    with pytest.raises(AudioError, match="no word is heard in the reference"):
        intelligibility(np.zeros_like(signal), signal, RATE)
    assert intelligibility(signal, np.zeros_like(signal), RATE).cer == 1.0


@given(st.text("ab ", max_size=8), st.text("ab ", max_size=8))
def test_edit_distance_is_the_recursive_one(a, b):
    @functools.cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        substituted = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(substituted, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    assert edit_distance(a, b) == distance(len(a), len(b)) == edit_distance(b, a)


def test_edit_distances_known():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3
    assert edit_distance("same", "same") == 0
