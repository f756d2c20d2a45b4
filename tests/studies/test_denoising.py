"""Noise is as strong as asked, gains are applied as asked, the network learns, scores are told
rightly."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from studies.denoising import learned, noises, study, systems, tables
from vocoder.data.audio import read_audio
from vocoder.errors import VocoderError
from vocoder.features.mel import PRESETS
from vocoder.loading import load

pytestmark = pytest.mark.slow

SPEC = PRESETS["speecht5_16k"]
SPEECH = Path(__file__).parents[2] / "egs/tiny/wavs/test/ru_0806.wav"


def tone(hertz: float, samples: int) -> torch.Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(samples) / noises.RATE)


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    return noises.LEVEL * read_audio(SPEECH, noises.RATE).waveform[: 2 * noises.RATE]


def power_at(signal: torch.Tensor, hertz: float) -> float:
    """Of one second, at a whole number of hertz."""
    return float(torch.fft.rfft(signal[: noises.RATE])[round(hertz)].abs().square())


def test_every_pool_speaks_in_the_babble_and_all_are_equally_loud():
    # Two voices of one tone add up to different powers by their phases; over many draws they agree.
    pools = torch.stack([tone(300, 32000), 0.01 * tone(2000, 32000)])
    draw = torch.Generator().manual_seed(0)
    sums = [noises.babble(pools, noises.RATE, draw) for _ in range(200)]
    low, high = (sum(power_at(x, f) for x in sums) for f in (300, 2000))
    assert low == pytest.approx(high, rel=0.25)
    assert sum(power_at(x, 1000) for x in sums) < 1e-6 * low


def test_mixtures_have_the_ratio_and_one_noise_for_all_ratios(speech):
    pools = torch.randn(2, 64000, generator=torch.Generator().manual_seed(0))
    mixtures = noises.make_mixtures({"a": speech}, pools, (0, 10), seed=1)
    assert [(m.kind, m.snr_db) for m in mixtures] == [
        ("stationary", 0), ("stationary", 10), ("babble", 0), ("babble", 10),
    ]  # fmt: skip
    for mixture in mixtures:
        noise = mixture.noisy - mixture.clean
        ratio = mixture.clean.square().sum() / noise.square().sum()
        assert 10 * math.log10(ratio) == pytest.approx(mixture.snr_db, abs=1e-3)
    loud, quiet = (m.noisy - m.clean for m in mixtures[:2])
    torch.testing.assert_close(quiet * 10**0.5, loud, atol=1e-5, rtol=0)
    with pytest.raises(VocoderError, match="clips"):
        noises.make_mixtures({"a": speech / speech.abs().max()}, pools, (0,), seed=1)


def test_the_gain_between_two_mels_is_that_of_the_signal(speech):
    mel = SPEC.mel(speech[None])
    torch.testing.assert_close(
        learned.apply_gain(SPEC, speech, mel, mel), speech, atol=1e-5, rtol=0
    )
    lower = learned.apply_gain(SPEC, speech, mel, mel - 0.5)
    torch.testing.assert_close(lower, speech * 10**-0.5, atol=1e-5, rtol=0)
    # It takes away and never adds.
    higher = learned.apply_gain(SPEC, speech, mel, mel + 0.5)
    torch.testing.assert_close(higher, speech, atol=1e-5, rtol=0)


def test_the_network_begins_with_no_change_and_learns_to_take_noise_away(speech, monkeypatch):
    monkeypatch.setattr(learned, "BATCH", 4)
    pools = torch.randn(1, 64000, generator=torch.Generator().manual_seed(0))
    pieces = [speech, speech.flip(0)]
    noisy = SPEC.mel(noises.add_noise(speech, pools[0, : len(speech)], 0)[None])
    clean = SPEC.mel(speech[None])
    start = learned.MelDenoiser(SPEC)
    torch.testing.assert_close(start(noisy), noisy)
    network = learned.train(SPEC, learned.Training(pieces, pools, steps=25))
    assert (network(noisy) - clean).abs().mean() < 0.75 * (noisy - clean).abs().mean()


def test_the_recording_scores_best_and_noise_lowers_the_scores(speech, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "METRICS", {"pesq": "PESQ", "stoi": "STOI"})
    pools = torch.randn(1, 64000, generator=torch.Generator().manual_seed(0))
    mixtures = noises.make_mixtures({"a": speech}, pools, (0, 15), seed=1)
    quieter = {systems.NOISY: lambda noisy: noisy, systems.GATE: lambda noisy: 0.1 * noisy}
    pairs = study.write_outputs(tmp_path, load("source_filter_16k"), quieter, mixtures)
    scores = study.score(pairs, jobs=1, cache=None)
    assert scores[tables.RECORDING]["a"] == {"pesq": pytest.approx(4.644, abs=1e-3), "stoi": 1.0}
    assert 2 < scores[tables.RESYNTHESISED]["a"]["pesq"] < 4.5
    for kind in ("stationary", "babble"):
        loud, quiet = (scores[tables.condition("noisy", kind, s)]["a"] for s in (0, 15))
        assert loud["pesq"] < quiet["pesq"] < 4.5
        assert loud["stoi"] < quiet["stoi"] < 1


def test_differences_are_paired_and_over_all_ratios():
    scores: tables.Scores = {}
    places = itertools.product(systems.NAMES, ("stationary", "babble"), noises.SNRS_DB)
    for name, kind, snr in places:
        # Recordings differ much, systems by a constant at every one of them.
        gain = 0.25 if name == systems.WIENER else 0.0
        scores[tables.condition(name, kind, snr)] = {
            f"{n}": dict.fromkeys(tables.METRICS, n + snr + gain) for n in range(6)
        }
    rows = [line.split("|") for line in tables.differences_table(scores).splitlines()]
    cells = {row[1].strip(): row[3].strip() for row in rows[2:]}
    assert cells["Wiener, resynthesis − Wiener"] == "**-0.25** [-0.25, -0.25]"
    assert cells["resynthesis − noisy"] == "+0.00 [0.00, 0.00]"
    assert "2.50 / 7.50 / 12.50 / 17.50" in tables.scores_table(scores, "babble")
