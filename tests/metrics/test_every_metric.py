"""Properties of every metric of the registry: rejection, best score, symmetry, description."""

import numpy as np
import pytest
import torch

from tests.golden.networks import recording
from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.errors import AudioError
from vocoder.evaluation.registry import METRICS, Column

pytestmark = pytest.mark.slow

GOOD = speech_like()
SPEECH = recording("train/es_please-try-again")[6000:22000]
MEASURES = list({metric.measure: metric for metric in METRICS.values()})

# The metrics without networks, with their exact score of a signal with itself; PESQ's are the
# highest raw score, 4.5, mapped by P.862.2 and P.862.1.
BEST = {
    "pesq": np.float32(0.999 + 4 / (1 + np.exp(-1.3669 * 4.5 + 3.8224))),
    "mstft": 0.0,
    "mel_distance": 0.0,
    "f0_rmse_cents": 0.0,
    "f0_fine_rmse_cents": 0.0,
    "gross_pitch_error": 0.0,
    "voicing_error": 0.0,
    "pesq_nb": np.float32(0.999 + 4 / (1 + np.exp(-1.4945 * 4.5 + 4.6607))),
    "stoi": 1.0,
    "estoi": 1.0,
    "lsd": 0.0,
    "mcd_mgcep": 0.0,
    "mcd_mcep": 0.0,
    "mcd_world": 0.0,
    "f0_rmse_hz": 0.0,
    "voicing_f1": 1.0,
    "hnr_difference": 0.0,
    "aperiodicity_difference": 0.0,
    "snr": 100.0,
    "si_sdr": 100.0,
}
SYMMETRIC = {
    "mel_distance",
    "f0_rmse_cents",
    "voicing_error",
    "lsd",
    "mcd_mgcep",
    "mcd_mcep",
    "mcd_world",
    "f0_rmse_hz",
    "voicing_f1",
    "hnr_difference",
    "aperiodicity_difference",
    "si_sdr",
}
# ESTOI is neither: it is symmetric where both signals have the same silent frames.
ASYMMETRIC = {"pesq", "mstft", "pesq_nb", "stoi", "snr"}
# Every measurement once, by one of its columns.
ONCE = [min(name for name in BEST if METRICS[name].measure is measure)
        for measure in {METRICS[name].measure: None for name in BEST}]  # fmt: skip


BAD = [
    (GOOD, GOOD[:-1], "48000 samples and the estimate 47999"),
    (GOOD, np.zeros(0, np.float32), "estimate: the signal is empty"),
    (np.stack([GOOD, GOOD]), GOOD, "reference: expected one dimension"),
    (GOOD, np.where(np.arange(48000) == 7, np.nan, GOOD), "estimate: .* NaN or infinite"),
    (np.where(np.arange(48000) == 7, np.inf, GOOD), GOOD, "reference: .* NaN or infinite"),
    (GOOD, (32767 * GOOD).astype(np.int16), "estimate: expected floating point"),
    (GOOD, GOOD.tolist(), "estimate: expected a tensor or an array, got list"),
]


def scores(once: str, reference: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """All columns of one measurement."""
    measure = METRICS[once].measure
    result = measure(reference, estimate, RATE)
    columns = [Column(name, metric, False) for name, metric in METRICS.items()]
    return {c.name: c.value(result) for c in columns if c.metric.measure is measure}


@pytest.mark.parametrize("measure", MEASURES)
def test_bad_signals_and_rates_are_refused_by_name(measure):
    for reference, estimate, said in BAD:
        with pytest.raises(AudioError, match=said) as raised:
            measure(reference, estimate, RATE)
        assert "\n" not in str(raised.value)
    for rate in (0, -16000):
        with pytest.raises(AudioError, match="sample_rate"):
            measure(GOOD, GOOD, rate)


@pytest.mark.parametrize("once", ONCE)
def test_a_recording_with_itself_gets_the_best_score_exactly(once):
    for name, found in scores(once, SPEECH, SPEECH).items():
        best = float(BEST[name])
        # The C code of PESQ computes in single precision.
        assert found == (pytest.approx(best, abs=2e-6) if "pesq" in name else best), name


@pytest.mark.parametrize("once", ONCE)
def test_degraded_recordings_score_worse_and_symmetry_is_as_declared(once):
    other = 0.7 * with_noise(SPEECH, 10.0)
    there, back = scores(once, SPEECH, other), scores(once, other, SPEECH)
    for name, found in there.items():
        if name == "gross_pitch_error":
            assert 0.0 <= found < 0.05  # noise makes few octave errors, or none
        elif METRICS[name].better == "lower":
            assert found > BEST[name], name
        else:
            assert found < BEST[name], name
        if name in SYMMETRIC | ASYMMETRIC:
            assert (found == pytest.approx(back[name], rel=1e-6)) == (name in SYMMETRIC), name


@pytest.mark.parametrize("name", [*ONCE, "dnsmos", "distillmos"])
def test_intrusive_are_those_that_look_at_the_reference(name):
    other = with_noise(SPEECH, 20.0)
    found = [
        scores(name, reference, other)[name] for reference in (SPEECH, with_noise(SPEECH, 5.0))
    ]
    assert (found[0] != found[1]) == METRICS[name].intrusive


@pytest.mark.parametrize("name", ONCE)
def test_tensors_arrays_and_precisions_score_alike(name):
    other = with_noise(SPEECH, 20.0)
    measure = METRICS[name].measure
    expected = measure(SPEECH, other, RATE)
    as_tensors = measure(torch.from_numpy(SPEECH), torch.from_numpy(other).requires_grad_(), RATE)
    as_doubles = measure(SPEECH.astype(np.float64), other.astype(np.float64), RATE)
    assert as_tensors == pytest.approx(expected, abs=1e-6)
    assert as_doubles == pytest.approx(expected, abs=1e-6)


def test_every_metric_has_a_row_in_the_documentation(repository):
    text = (repository / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert rows == set(METRICS)


def test_every_metric_describes_itself():
    for name, metric in METRICS.items():
        assert name.isidentifier()
        assert name.islower()
        assert len(metric.convention) > 40, name
        assert "\n" not in metric.convention, name
        assert not metric.convention.endswith("."), name  # the table ends the sentence
        assert metric.version >= 1, name
    labels = [metric.label for metric in METRICS.values()]
    assert len(set(labels)) == len(labels)
    assert "MCD" not in labels
