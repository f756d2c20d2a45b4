import importlib.util

import numpy as np
import pytest

from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.errors import AudioError, VocoderError
from vocoder.metrics import dnsmos as module
from vocoder.metrics.dnsmos import dnsmos

pytestmark = pytest.mark.slow

try:
    module.require_dnsmos()
    INSTALLED = True
except VocoderError:
    INSTALLED = False
needs_extra = pytest.mark.skipif(not INSTALLED, reason="needs the extra evaluate")


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VocoderError, match=r"pip install 'vocoder\[evaluate\]'"):
        dnsmos(speech_like(), speech_like(), RATE)


def test_silence_is_refused():
    with pytest.raises(AudioError, match="silence"):
        dnsmos(speech_like(), np.zeros_like(speech_like()), RATE)


@needs_extra
def test_noise_lowers_both_scores_and_peaks_are_clipped():
    # 9.5 s are one window of the networks; shorter signals would be repeated.
    clean = np.tile(speech_like(), 4)[: 19 * RATE // 2]
    loud = clean * (1.001 / np.abs(clean).max())
    clear, noisy = (dnsmos(clean, x, RATE) for x in (loud, with_noise(clean, 5)))
    assert 1.0 < noisy.overall < clear.overall - 0.1 < 5.0
    assert 1.0 < noisy.p808 < clear.p808 - 0.1 < 5.0
