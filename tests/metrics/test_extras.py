"""Metrics that need extras report missing packages."""

import importlib.util

import numpy as np
import pytest

from tests.golden import networks
from tests.metrics.golden import RATE, speech_like
from vocoder.errors import VocoderError
from vocoder.extras import require_packages
from vocoder.metrics.distillmos import distillmos
from vocoder.metrics.dnsmos import dnsmos
from vocoder.metrics.intelligibility import intelligibility
from vocoder.metrics.periodicity import periodicity_errors, periodicity_errors_vocos
from vocoder.metrics.speaker_similarity import speaker_similarity
from vocoder.metrics.visqol import visqol

pytestmark = pytest.mark.slow

PACKAGES = {
    periodicity_errors: "torchcrepe",
    periodicity_errors_vocos: "torchcrepe",
    visqol: "ai_edge_litert",
    speaker_similarity: "pkg_resources",
    distillmos: "xls_r_sqa",
    intelligibility: "pocketsphinx",
    dnsmos: "speechmos",
}
GOOD = speech_like()


@pytest.mark.parametrize("metric", PACKAGES)
def test_a_missing_package_is_named_with_the_extra_that_has_it(metric, monkeypatch):
    find = importlib.util.find_spec

    def without(name, *rest):
        return None if name == PACKAGES[metric] else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    extra = "asr" if metric is intelligibility else "evaluate"
    with pytest.raises(
        VocoderError, match=rf"{PACKAGES[metric]}: pip install 'vocoder\[{extra}\]'"
    ):
        metric(GOOD, GOOD, RATE)


def test_what_is_there_is_not_missed():
    require_packages("nothing", ("json", "numpy"))


@pytest.mark.parametrize("metric", [speaker_similarity, visqol, distillmos])
def test_tensors_arrays_and_precisions_score_alike(metric):
    import torch

    clean, noisy = networks.golden_pair()
    expected = metric(clean, noisy, RATE)
    as_tensors = metric(torch.from_numpy(clean), torch.from_numpy(noisy).requires_grad_(), RATE)
    as_doubles = metric(clean.astype(np.float64), noisy.astype(np.float64), RATE)
    assert as_tensors == pytest.approx(expected, abs=1e-6)
    assert as_doubles == pytest.approx(expected, abs=1e-6)
