"""Metrics order known degradations of real speech as they claim, and say how large they are.

Short ladders on two of the shipped recordings, in memory. The whole study, with all metrics, more
recordings and finer ladders, is studies/validation; the claims are declared there.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from studies.validation import checks, ladders, score, tables
from studies.validation.claims import CLAIMS, FAILING, LEAST_TAU, Claim, judge
from studies.validation.ladders import LADDERS, Source
from studies.validation.scores import Scores, read_scores
from vocoder.data.audio import read_audio
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.registry import METRICS, resolve_columns

pytestmark = pytest.mark.slow

RATE = 16000
RUNGS = {
    "mp3": (64, 24, 8),
    "opus": (24, 12, 6),
    "white": (30, 15, 0),
    "shaped": (30, 15, 0),
    "low_pass": (7, 4, 3),
    "world": (0, 12, 3),
    "f0": (20, 100, 400),
    "griffin_lim": (32, 4, 1),
    "gain": (-3, -20),
    "polarity": (-1,),
}
# Metrics that take more than a thirtieth of a second per second of audio.
_SLOW = {name for tier in score.TIERS.values() for name in tier.metrics or ()}
_SLOW |= {"mcd_mgcep", "hnr_difference", "aperiodicity_difference", "speaker_similarity"}
FAST = [name for name in METRICS if name not in _SLOW | score.NOT_SCORED.keys()]


@pytest.fixture(scope="module")
def sources(repository: Path) -> list[Source]:
    """A man and a woman, 1.6 s each."""
    found = []
    for name in ("it_dir-firstlast", "ru_followme_sorry"):
        audio = read_audio(repository / "egs" / "tiny" / "wavs" / "test" / f"{name}.wav")
        waveform = audio.waveform[: 8 * RATE // 5]
        level = 10 ** (ladders.LEVEL_DBFS / 20) / waveform.square().mean().sqrt()
        found.append(Source(waveform * level, audio.sample_rate, name))
    return found


@pytest.fixture(scope="module")
def scores_on(sources: list[Source]) -> Callable[[str], dict[str, list[list[float | None]]]]:
    """Scores of the fast metrics on a ladder: metric → for each recording those of its rungs."""
    columns = resolve_columns(FAST)
    known: dict[str, dict[str, list[list[float | None]]]] = {}

    def measure(ladder: str) -> dict[str, list[list[float | None]]]:
        found: dict[str, list[list[float | None]]] = {name: [] for name in FAST}
        for source in sources:
            shifted = LADDERS[ladder].base != ladders.RECORDING
            base = source.world.synthesise() if shifted else source.waveform
            rungs = [base, *(LADDERS[ladder].degrade(source, rung) for rung in RUNGS[ladder])]
            rows = []
            for rung in rungs:
                results = {c.source: c for c in columns}
                measured = {s: c.measure(base, rung, RATE) for s, c in results.items()}
                rows.append({c.name: c.value(measured[c.source]) for c in columns})
            for name in FAST:
                values = [row[name] for row in rows]
                found[name].append([value if math.isfinite(value) else None for value in values])
        return found

    def scores(ladder: str) -> dict[str, list[list[float | None]]]:
        if ladder not in known:
            known[ladder] = measure(ladder)
        return known[ladder]

    return scores


def test_every_metric_declares_what_it_claims():
    missing = METRICS.keys() - CLAIMS.keys()
    assert not missing, f"declare them in studies/validation/claims.py: {sorted(missing)}"
    assert CLAIMS.keys() <= METRICS.keys()
    assert all(claims.by_ladder.keys() == LADDERS.keys() for claims in CLAIMS.values())
    for metric, ladder in FAILING:
        assert CLAIMS[metric].by_ladder[ladder] is not Claim.NONE


@pytest.mark.parametrize("ladder", RUNGS)
def test_fast_metrics_keep_their_claims(ladder: str, scores_on):
    judged = 0
    for metric, found in scores_on(ladder).items():
        claims = CLAIMS[metric]
        claim = claims.by_ladder[ladder]
        if claim is Claim.NONE or (metric, ladder) in FAILING:
            continue
        verdict = judge(found, METRICS[metric].better, claim, claims.tolerance)
        assert verdict.holds, f"{metric}, {claim}: {found}, {verdict}"
        judged += 1
    assert judged > 0


def test_snr_is_that_of_the_noise(scores_on):
    for ladder in ("white", "shaped"):
        for found in scores_on(ladder)["snr"]:
            assert found[1:] == pytest.approx(RUNGS[ladder], abs=0.01)
    for found in scores_on("gain")["snr"]:
        due = [-20 * math.log10(1 - 10 ** (gain / 20)) for gain in RUNGS["gain"]]
        assert found[1:] == pytest.approx(due, abs=1e-3)


def test_f0_rmse_is_the_shift(scores_on):
    for found in scores_on("f0")["f0_rmse_cents"]:
        # Praat's tracks of two syntheses are some cents apart whatever the shift.
        assert found[1] == pytest.approx(20, abs=8)
        assert found[2:] == pytest.approx([100, 400], rel=0.03)
    for found in scores_on("f0")["gross_pitch_error"]:
        assert found[2] == pytest.approx(0, abs=0.01), "100 cents are 6 %"
        assert found[3] == pytest.approx(1, abs=0.02), "400 cents are 26 %"


def test_log_spectral_distance_is_what_the_filter_takes_away(
    sources: list[Source], scores_on, tmp_path: Path
):
    for number, source in enumerate(sources):
        path = tmp_path / f"{number}.wav"
        ladders.write_audio(path, source.waveform, RATE)
        found = scores_on("low_pass")["lsd"][number]
        due = [checks.lsd_of_low_pass(path, khz) for khz in RUNGS["low_pass"]]
        assert found[1:] == pytest.approx(due, abs=0.3)
        assert due[0] > 1.0


def test_a_metric_without_phase_does_not_see_the_sign(scores_on):
    for metric in ("pesq", "stoi", "mstft", "mel_distance", "lsd"):
        for found in scores_on("polarity")[metric]:
            assert found[0] == pytest.approx(found[1], abs=1e-6)
    for found in scores_on("polarity")["snr"]:
        assert found[1] == pytest.approx(-6.0206, abs=1e-3)


# The judgement itself.


def verdict_of(rows: Sequence[Sequence[float | None]], claim: Claim, better="lower", tolerance=0.1):
    return judge(rows, better, claim, tolerance)


def test_a_claim_to_order_needs_nearly_all_ladders_strictly_in_order():
    good, swapped, tied = [0, 1, 2, 3], [0, 2, 1, 3], [0, 1, 1, 3]
    assert verdict_of([good] * 5, Claim.ORDERS).holds
    assert not verdict_of([good] * 5, Claim.ORDERS, better="higher").holds
    one_off = verdict_of([*[good] * 4, swapped], Claim.ORDERS)
    assert one_off.holds
    assert one_off.ordered == 0.8
    assert one_off.tau == pytest.approx((4 + 2 / 3) / 5)
    assert (one_off.weakest, one_off.weakest_share) == (2, pytest.approx(0.2))
    for wrong in (swapped, tied):
        two_off = verdict_of([good, good, good, wrong, wrong], Claim.ORDERS)
        assert two_off.ordered == 0.6
        assert not two_off.holds
    nearly = [list(range(10)), [0, 1, 2, 3, 4, 5, 6, 7, 9, 8]]
    verdict = verdict_of(nearly, Claim.ORDERS)
    assert verdict.tau > LEAST_TAU
    assert not verdict.holds, "half of the ladders are not in order"


def test_constant_and_undefined_scores_order_nothing():
    constant = verdict_of([[1.0, 1.0, 1.0]], Claim.ORDERS)
    assert (constant.tau, constant.rho, constant.ordered, constant.holds) == (0, 0, 0, False)
    hole = verdict_of([[0, 1, 2], [0, None, 2]], Claim.ORDERS)
    assert (hole.utterances, hole.undefined, hole.holds) == (1, 1, False)
    nothing = verdict_of([[0, None, 2]], Claim.BLIND)
    assert nothing.holds is False
    assert math.isnan(nothing.tau)


def test_a_claim_to_be_blind_allows_no_larger_change_than_it_states():
    assert verdict_of([[1, 1.05, 0.95], [2, 2, 2]], Claim.BLIND).holds
    verdict = verdict_of([[1, 1.05, 0.95], [2, 2, 2.2]], Claim.BLIND)
    assert verdict.change == pytest.approx(0.2)
    assert not verdict.holds
    assert verdict_of([[1, 9]], Claim.NONE).holds is None


# The study, from recordings to the table.


def test_the_study_makes_ladders_scores_them_and_writes_its_results(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VOCODER_CACHE", str(tmp_path / "cache"))
    chosen = ladders.choose([tiny_corpus / "manifest.jsonl"], 1)
    assert [one.name.split("/")[0] for one in chosen] == ["carlo", "ivrvoice_ru", "msu_ru_nsh"]
    audio, scores = tmp_path / "audio", tmp_path / "scores"
    made = ("white", "raw_delay")
    ladders.make(chosen, audio, made)
    written = {path: path.stat().st_mtime_ns for path in audio.rglob("*.wav")}
    assert len(written) == 3 * (1 + sum(len(LADDERS[name].rungs) for name in made))
    for path in (audio / "recording").rglob("*.wav"):
        rms = read_audio(path).waveform.square().mean().sqrt()
        assert 20 * math.log10(rms) == pytest.approx(ladders.LEVEL_DBFS, abs=0.01)
    next(iter(written)).unlink()
    ladders.make(chosen, audio, made)
    again = {path: path.stat().st_mtime_ns for path in audio.rglob("*.wav")}
    assert again.keys() == written.keys()
    assert sum(again[path] != written[path] for path in written) == 1, "others are kept"

    score.score(audio, scores / "cheap", ["snr", "lsd"], jobs=1, ladders=made)
    found = read_scores(scores)
    assert found.keys() == {(metric, name) for metric in ("snr", "lsd") for name in made}
    assert found["snr", "white"].means() == pytest.approx([100, 40, 30, 20, 10, 0], abs=0.01)
    # This ladder keeps its delays, to which both metrics must respond.
    assert found["snr", "raw_delay"].means()[-1] < 3
    text = tables.render(found, audio, "the command")
    assert "| SNR (dB) |" in text
    assert "the recording at -26 dBFS" in text
    assert "**2 of 2 claims hold; 1 of 1 numbers are met.**" in text
    assert "| LSD (dB) |  |  | + 1.00, 100 % |" in text
    assert tables.surprises(tables.judge_all(found)) == []


def test_a_new_failure_is_told_and_listed():
    values = {f"a/{number}": [0.0, 2.0, 1.0, 3.0, 4.0, 5.0] for number in range(5)}
    scores = {("lsd", "white"): Scores("lsd", "white", values)}
    verdicts = tables.judge_all(scores)
    assert tables.surprises(verdicts) == [
        "lsd on white: the claim fails; look why, then add it to FAILING"
    ]
    known = next(key for key in FAILING if CLAIMS[key[0]].by_ladder[key[1]] is Claim.ORDERS)
    better = METRICS[known[0]].better
    signs = [(-1 if better == "higher" else 1) * rung for rung in range(9)]
    length = 1 + len(LADDERS[known[1]].rungs)
    holding = {known: Scores(*known, {"a/b": signs[:length]})}
    (line,) = tables.surprises(tables.judge_all(holding))
    assert line.endswith("the claim holds; take it out")


def test_a_number_that_is_missed_is_told_unless_it_is_known_to_be():
    check = checks.Check("lsd", "gain", "the gain", lambda *_: 1.0, 0.1)
    missed = checks.Outcome(check, 2.0, -1, 5, 0, False)
    (line,) = tables.surprises({}, [missed])
    assert line == "lsd on gain: the number is missed; look why, then say it"
    known = dataclasses.replace(check, missed="not for that")
    assert tables.surprises({}, [dataclasses.replace(missed, check=known)]) == []
    met = checks.Outcome(known, 0.0, -1, 5, 0, True)
    (line,) = tables.surprises({}, [met])
    assert "the number is met" in line


def test_unusable_input_of_the_study_is_refused(tiny_corpus: Path, tmp_path: Path):
    manifest = tiny_corpus / "manifest.jsonl"
    with pytest.raises(VocoderError, match=r"carlo has 1 test utterances of 3 to 6\.5 s"):
        ladders.choose([manifest], 2)
    with pytest.raises(VocoderError, match=r"no scores; run studies/validation/score\.py"):
        read_scores(tmp_path)
    silent = tmp_path / "silent.wav"
    ladders.write_audio(silent, torch.zeros(RATE), RATE)
    with pytest.raises(AudioError, match="silent"):
        ladders.make([ladders.Chosen("nobody/silent", silent)], tmp_path, ["gain"])


def test_a_missing_ffmpeg_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["ladders", "--manifest", "m.jsonl", "--output", "o"])
    with pytest.raises(
        SystemExit, match=r"^error: codecs need the program ffmpeg: apt-get [^\n]+$"
    ):
        ladders.run(ladders.main)
