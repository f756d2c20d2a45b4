"""Published vocoders: the list of pages, the sources of audio, the tables."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studies.published import measure, sources
from studies.published.changes import changes, changes_table
from studies.published.differences import advantages, smallest_p_value, summarised
from studies.published.measure import (
    Measured,
    OwnScores,
    PageScores,
    measure_page,
    measure_weights,
    read_own_scores,
    read_page_scores,
    write_own,
    write_page,
)
from studies.published.pages import Page, Repository, read_page, read_pages
from studies.published.sources import check_source, checksum, download, read_checksums
from studies.published.systems import Weights
from studies.published.tables import Study, architectures, pooled, write_results
from studies.scores import Scores
from tests.training.tiny import ROOT
from vocoder.errors import VocoderError
from vocoder.loading import SHIPPED

pytestmark = pytest.mark.slow

HERE = ROOT / "studies" / "published"
PAGES = read_pages()

# -- the list ------------------------------------------------------------------------------------


def test_all_pages_are_listed_with_every_file_once():
    assert len(PAGES) == 13
    assert sum(len(page.systems) for page in PAGES.values()) == 59
    for name, page in PAGES.items():
        files = list(page.files())
        assert len(files) == len(page.utterances) * (1 + len(page.systems)), name
        assert len({(file.repository.name, file.path) for file in files}) == len(files), name
        assert all(system.architecture for system in page.systems.values()), name


def test_every_measured_file_has_a_checksum():
    listed = {
        f"{name}/{file.system}/{file.utterance}"
        for name, page in PAGES.items()
        for file in page.files()
    }
    assert read_checksums().keys() == listed


def test_a_wrong_page_is_refused_with_file_and_field(tmp_path: Path):
    path = tmp_path / "page.yaml"
    text = (HERE / "pages" / "mkotha_wavernn.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("{key}", "0"), encoding="utf-8")
    with pytest.raises(VocoderError, match=r"page\.yaml: systems\.wavernn\.path: .*\{key\}"):
        read_page(path)
    path.write_text(text.replace("sample_rate", "sampling_rate"), encoding="utf-8")
    with pytest.raises(VocoderError, match="sampling_rate"):
        read_page(path)


# -- audio ---------------------------------------------------------------------------------------


def small_page(commit: str = "0" * 40, utterances: tuple[str, ...] = ("a", "b")) -> Page:
    return Page.model_validate({
        "title": "Small",
        "url": "https://example.org",
        "repository": {"name": "owner/demo", "commit": commit},
        "corpus": "tiny",
        "sample_rate": 16000,
        "heard_speaker": "yes",
        "mel_preset": "speecht5_16k",
        "recording": "wavs/{key}.wav",
        "utterances": {name: f"{name}_key" for name in utterances},
        "systems": {
            "theirs": {
                "label": "Theirs", "architecture": "WaveNet", "family": "autoregressive",
                "paper": "none", "path": "made/{key}_gen.wav",
            },
        },
    })  # fmt: skip


def noise(seed: int, samples: int = 4000) -> np.ndarray:
    return (np.random.default_rng(seed).normal(0, 2000, samples)).astype(np.int16)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_audio_is_extracted_from_the_commit_that_is_named(tmp_path: Path):
    repository = tmp_path / "host" / "owner" / "demo"
    for seed, name in enumerate(["wavs/a_key", "wavs/b_key", "made/a_key_gen", "made/b_key_gen"]):
        path = repository / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(seed), 16000, subtype="PCM_16")
    git(repository, "init", "-q")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "demo")
    commit = git(repository, "rev-parse", "HEAD")
    soundfile.write(repository / "wavs" / "a_key.wav", noise(9), 16000, subtype="PCM_16")
    git(repository, "commit", "-qam", "another recording")

    source, page = tmp_path / "source", small_page(commit)
    download(source, {"small": page}, host=f"file://{tmp_path / 'host'}")
    written, rate = soundfile.read(source / "small" / "recording" / "a.wav", dtype="int16")
    assert rate == 16000
    assert np.array_equal(written, noise(0))
    found = {
        path.relative_to(source / "small").as_posix() for path in source.rglob("small/*/*.wav")
    }
    assert found == {"recording/a.wav", "recording/b.wav", "theirs/a.wav", "theirs/b.wav"}

    lost = page.model_copy(update={"recording": "wavs/{key}_lost.wav"})
    shutil.rmtree(source / "small" / "recording")
    with pytest.raises(VocoderError, match=r"wavs/a_key_lost\.wav"):
        download(source, {"small": lost}, host=f"file://{tmp_path / 'host'}")
    assert not list((source / "small").glob("recording/*"))


def test_a_checksum_is_of_the_samples_whatever_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    page = small_page(utterances=("a",))
    folder = tmp_path / "small"
    for system in ("recording", "theirs"):
        (folder / system).mkdir(parents=True)
        soundfile.write(folder / system / "a.wav", noise(1), 16000, subtype="PCM_16")
    flac = tmp_path / "a.flac"
    soundfile.write(flac, noise(1), 16000, subtype="PCM_16")
    known = checksum(flac)
    assert known == checksum(folder / "theirs" / "a.wav")
    lines = f"small/recording/a\t{known}\nsmall/theirs/a\t{known}\n"
    path = tmp_path / "checksums.tsv"
    path.write_text(lines)
    monkeypatch.setattr(sources.read_checksums, "__defaults__", (path,))
    check_source(tmp_path, {"small": page})
    changed = noise(1)
    changed[100] += 1
    soundfile.write(folder / "theirs" / "a.wav", changed, 16000, subtype="PCM_16")
    with pytest.raises(VocoderError, match=r"theirs/a\.wav: not the samples"):
        check_source(tmp_path, {"small": page})
    (folder / "theirs" / "a.wav").unlink()
    with pytest.raises(VocoderError, match="a is missing"):
        check_source(tmp_path, {"small": page})


# -- differences ---------------------------------------------------------------------------------


def scores(**values: list[float | None]) -> Scores:
    count = len(next(iter(values.values())))
    return Scores(
        utterances=tuple(f"u{i}" for i in range(count)),
        values={metric: tuple(row) for metric, row in values.items()},
    )


def test_an_advantage_counts_upwards_whichever_way_the_metric_runs():
    ours = scores(pesq=[3.0, 3.5, None], mstft=[0.8, 0.9, 1.0])
    theirs = scores(pesq=[2.5, 3.6, 3.0], mstft=[1.0, 1.0, 0.9])
    assert advantages("pesq", ours, [theirs]) == pytest.approx([0.5, -0.1])
    assert advantages("mstft", ours, [theirs]) == pytest.approx([0.2, 0.1, -0.1])
    other = scores(pesq=[3.5, 3.4, 3.0], mstft=[0.6, 1.0, 0.9])
    assert advantages("pesq", ours, [theirs, other]) == pytest.approx([0.0, 0.0])
    found = summarised(advantages("mstft", ours, [theirs]))
    assert (found.n, found.wins) == (3, 2)
    assert found.mean == pytest.approx(0.2 / 3)
    assert summarised([]).mean is None


def test_five_utterances_are_too_few_and_six_are_not():
    assert smallest_p_value(5) == 0.0625
    five, six = summarised([1.0] * 5), summarised([1.0] * 6)
    assert five.p_value == smallest_p_value(5)
    assert six.p_value == smallest_p_value(6)
    assert five.too_few
    assert not six.too_few


# -- tables --------------------------------------------------------------------------------------

COMPARED = ("pesq", "mstft", "voicing_error", "dnsmos", "distillmos", "level_difference")


def made_up(seed: int, n: int, quality: float) -> Measured:
    draw = np.random.default_rng(seed)
    values = {
        "pesq": quality + draw.normal(0, 0.05, n),
        "mstft": 5 - quality + draw.normal(0, 0.05, n),
        "voicing_error": 0.05 + draw.normal(0, 0.001, n),
        "dnsmos": 3.3 + draw.normal(0, 0.01, n),
        "distillmos": quality + 1 + draw.normal(0, 0.05, n),
        "level_difference": draw.normal(0, 0.1, n),
    }
    utterances = tuple(f"u{i}" for i in range(n))
    return Measured(
        common=Scores(utterances=utterances, values={k: tuple(v) for k, v in values.items()})
    )


def made_up_study(folder: Path) -> Study:
    """Two pages with a WaveNet each, one of 4 and one of 5 utterances; ours measured twice."""
    pages = {}
    for name, n in {"first": 4, "second": 5}.items():
        pages[name] = small_page(utterances=tuple(f"u{i}" for i in range(n)))
        write_page(
            PageScores(
                page=name, measured="2026-11-29", commit="0", labels={"pyworld": "WORLD"},
                systems={
                    "theirs": made_up(1, n, 3.0), "recording": made_up(2, n, 4.5),
                    "pyworld": made_up(3, n, 2.0),
                },
            ),
            folder,
        )  # fmt: skip
    for day, quality in (("2026-11-29", 3.1), ("2026-12-01", 3.4)):
        write_own(
            OwnScores(
                name="weights", label="ours, weights", trial=False, measured=day, commit="0",
                weights_sha256="0", mel_preset="speecht5_16k", parameters_m=1.5,
                gmac_per_second=0.1,
                pages={"first": made_up(4, 4, quality), "second": made_up(5, 5, quality)},
            ),
            folder,
        )  # fmt: skip
    return Study(pages, read_page_scores(pages, folder), read_own_scores(folder))


def test_the_change_of_weights_is_paired_over_all_pages(tmp_path: Path):
    def own(sha: str, quality: float, mel: str = "speecht5_16k") -> OwnScores:
        values = {"pesq": (quality, quality + 0.5, None), "mstft": (1.0, 1.0, 1.0)}
        values |= {"voicing_error": (0.1,) * 3, "distillmos": (4.0,) * 3}
        page = Measured(common=Scores(utterances=("a", "b", "c"), values=values))
        return OwnScores(
            name="w", label="ours, w", trial=False, measured="2026-11-29", commit="0",
            weights_sha256=sha, mel_preset=mel, parameters_m=1.5, gmac_per_second=0.1,
            pages={"first": page, "second": page, sha: page},
        )  # fmt: skip

    old, new = own("0123456789", 3.0), own("abcdef0123", 3.25)
    assert changes(old, new, "pesq") == [0.25] * 4
    rows = changes_table(old, new).splitlines()
    assert "ours, w (abcdef0) less ours, w (0123456)" in rows[0]
    assert rows[2] == "| PESQ-WB ↑ | 4 | +0.250 ± 0.000 |"
    with pytest.raises(VocoderError, match="compare scores from one mel"):
        changes_table(old, own("0", 3.0, "vocos_24k"))
    with pytest.raises(VocoderError, match="0 utterances have both scores of pesq"):
        changes_table(old, new.model_copy(update={"pages": {}}))


def test_utterances_of_several_pages_together_show_what_none_of_them_can(tmp_path: Path):
    study = made_up_study(tmp_path / "scores")
    wavenet, world = architectures(study)
    assert world.name == "WORLD (made here)"
    found = pooled(study, wavenet, study.own[0], "pesq")
    assert found.n == found.wins == 9
    assert found.mean == pytest.approx(0.4, abs=0.1)
    assert found.p_value == pytest.approx(2 / 2**9)
    results, readme = tmp_path / "RESULTS.md", tmp_path / "README.md"
    shutil.copy(HERE / "RESULTS.md", results)
    readme.write_text("<!-- begin published -->\n<!-- end published -->\n")
    write_results(study, tmp_path, readme)
    text = results.read_text()
    assert "| 1 | first | Theirs | yes | 4 |" in text
    assert text.count("| too few |") == 2  # of a page each
    assert "better: PESQ, M-STFT, Distill-MOS; open: V/UV error, DNSMOS" in text
    progress = text.split("<!-- begin progress -->")[1].split("<!-- end progress -->")[0]
    assert progress.index("2026-11-29") < progress.index("2026-12-01")
    assert "| first | 3.1" in progress
    assert "| WaveNet | 2, 9 | – | " in readme.read_text()
    assert "| better | better |" in readme.read_text()
    assert (tmp_path / "quality.png").is_file()


def test_the_results_are_what_the_scores_say(tmp_path: Path):
    """RESULTS.md and README are generated by the stage tables, without manual edits."""
    study = Study(PAGES, read_page_scores(PAGES), read_own_scores())
    assert study.scores.keys() == PAGES.keys()
    shutil.copy(HERE / "RESULTS.md", tmp_path / "RESULTS.md")
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    write_results(study, tmp_path, tmp_path / "README.md")
    assert (tmp_path / "RESULTS.md").read_text() == (HERE / "RESULTS.md").read_text()
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()


def test_ours_are_the_weights_that_ship():
    """The table's newest numbers of each shipped name are of the file that ships."""
    newest = {own.name: own for own in read_own_scores()}
    for name, folder in SHIPPED.items():
        assert newest[name].weights_sha256 == measure._sha256(folder / "model.safetensors"), name


# -- all of it -----------------------------------------------------------------------------------


def test_a_page_is_measured_from_real_speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measure, "METRICS", ("pesq", "level_difference"))
    monkeypatch.setenv("VOCODER_CACHE", str(tmp_path / "cache"))
    page = small_page(utterances=("it_dir-firstlast", "ru_0806"))
    wavs = ROOT / "egs" / "tiny" / "wavs" / "test"
    source = tmp_path / "source"
    for system, gain, lag in (("recording", 1.0, 0), ("theirs", 0.5, 560)):
        folder = source / "small" / system
        folder.mkdir(parents=True)
        for name in page.utterances:
            samples, rate = soundfile.read(wavs / f"{name}.wav")
            late = np.concatenate([np.zeros(lag), gain * samples])
            soundfile.write(folder / f"{name}.flac", late, rate, subtype="PCM_16")
    made = tmp_path / "made"
    found = measure_page("small", page, source, made, ["speecht5_16k"], jobs=1)
    theirs = found.systems["theirs"].common
    # A lag of 35 ms and half the level are no difference in quality, and both are told.
    assert min(theirs.values["pesq"]) > 4.5
    assert all("560 samples" in note for note in theirs.notes.values())
    assert {"griffin_lim_speecht5_16k", "pyworld", "recording", "theirs"} == found.systems.keys()
    assert all(own.native is None for own in found.systems.values())
    name, folder = "universal", SHIPPED["universal"]
    weights = Weights(name, folder, mel="speecht5_16k")
    own = measure_weights(weights, {"small": page}, source, made, jobs=1)
    assert own.mel_preset == "speecht5_16k"
    assert own.label == "ours, universal from speecht5_16k"
    assert own.parameters_m == pytest.approx(1.98, abs=0.01)
    griffin_lim = found.systems["griffin_lim_speecht5_16k"].common.values["pesq"]
    assert np.mean(own.pages["small"].common.values["pesq"]) > np.mean(griffin_lim)
    assert own == read_own_scores_of(write_own(own, tmp_path / "scores"))


def read_own_scores_of(path: Path) -> OwnScores:
    (found,) = read_own_scores(path.parent.parent)
    return found


def test_a_repository_needs_a_whole_commit():
    with pytest.raises(ValueError, match="commit"):
        Repository(name="owner/demo", commit="HEAD")
