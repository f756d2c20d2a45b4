"""The folder of a report: contents, completeness, and rejected input."""

import base64
import io
import json
import os
import re
import shlex
import shutil
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.image import imread
from typer.testing import CliRunner

from tests.metrics.golden import RATE, speech_like
from tests.report.conftest import TITLE, cost_file, with_noise
from vocoder.cli import app
from vocoder.data.audio import AudioWarning, read_audio, write_audio
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import evaluate_folders
from vocoder.report import media
from vocoder.report.build import build_report
from vocoder.report.media import file_names

pytestmark = pytest.mark.slow


def contents(folder: Path) -> dict[str, bytes]:
    found = folder.rglob("*")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found if p.is_file()}


def data_of(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert block
    return json.loads(block[1])


def test_the_package_holds_what_the_page_is_made_of():
    package = files("vocoder.report")
    for name in ("templates/report.html.jinja", "templates/parts.html.jinja", "static/page.css",
                 "static/utterances.css", "static/player.js", "static/panel.js",
                 "static/utterances.js", "static/exports.js", "static/main.js"):  # fmt: skip
        assert (package / name).is_file(), name


def test_everything_that_the_page_names_is_there_and_nothing_else(report):
    named = set()
    for utterance in data_of(report)["utterances"]:
        for player, paths in enumerate(utterance["media"]):
            assert (paths[0] is not None) == utterance["has"][player]
            named |= {path for path in paths if path is not None}
    present = set(contents(report.parent)) - {"report.html"}
    assert present == named
    # Eight recordings, eight of one system but for the bad file, seven of the other.
    assert sum(name.endswith(".wav") for name in present) == 8 + 7 + 7
    assert sum(name.endswith(".difference.png") for name in present) == 7 + 7


def test_the_sound_is_what_was_scored(report, folders):
    name = "msu_ru_nsh/ru_0806.wav"
    copied = contents(report.parent)["assets/much_noise/msu_ru_nsh_ru_0806.wav"]
    assert copied == (folders["much noise"] / name).read_bytes()


def test_the_page_needs_nothing_from_elsewhere(report):
    text = report.read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href|url\()\s*=?\s*["\'(]?((?:https?:)?//[^"\')\s]+)', text)
    assert links == []
    assert "http://www.w3.org/2000/svg" not in text


def test_names_are_text_not_markup(report):
    text = report.read_text(encoding="utf-8")
    assert "<title>Noise &lt;and&gt; nothing else</title>" in text
    assert TITLE not in text


def test_scores_comparisons_and_problems_are_said(report, evaluation):
    text = report.read_text(encoding="utf-8")
    summary = json.loads((evaluation / "summary.json").read_text())
    score = summary["systems"]["a little noise"]["scores"]["mstft"]
    assert f'<span class="mean">{score["mean"]:.3f}</span>' in text
    assert f"[{score['low']:.3f}, {score['high']:.3f}]" in text
    for comparison in summary["comparisons"]:
        assert comparison["sentence"].replace("<", "&lt;") in text
    assert "too few to show" in text
    assert "2 problems in the table of scores" in text
    assert "missing in this system" in text
    best = re.findall(r'<td class="best">.*?<span class="mean">([\d.]+)', text)
    assert best[0] == f"{score['mean']:.3f}"


@pytest.mark.parametrize("embed_audio", [False, True])
def test_no_folder_of_this_machine_is_in_it(evaluation, folders, tmp_path, embed_audio):
    summary = json.loads((evaluation / "summary.json").read_text())
    root = folders["recording"].parent
    assert any(str(root) in problem for problem in summary["problems"])
    where = Path(shutil.copytree(evaluation, tmp_path / "scores"))
    systems = [f"--system={name}={folder}" for name, folder in folders.items()]
    command = ["vocoder", "evaluate", f"--output={where}", *systems]
    summary["command"] = shlex.join([*command, "--reference", str(folders["recording"])])
    (where / "summary.json").write_text(json.dumps(summary))
    build_report(where, tmp_path / "page", embed_audio=embed_audio, jobs=1, progress=False)
    for name, content in contents(tmp_path / "page").items():
        if Path(name).suffix in {".html", ".js", ".json", ".css", ".csv", ".svg"}:
            assert str(root).encode() not in content, name
            assert str(tmp_path).encode() not in content, name
    text = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "<code>…/much noise</code>" in text
    assert "--output=…/scores" in text
    assert "…/a little noise/msu_ru_nsh/ru_0683.wav: not an audio file" in text


def test_below_the_current_folder_paths_are_relative(evaluation, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(folders["recording"].parent)
    build_report(evaluation, tmp_path / "page", jobs=1, progress=False)
    text = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "<code>much noise</code>" in text
    assert "…/" not in re.search(r"<body>.*<script", text, re.S)[0]


def test_a_copy_of_the_reference_is_said_beside_the_comparisons(folders, tmp_path):
    names = ("recording", "a little noise", "much noise")
    systems = {name: folders[name] for name in names}
    some = ["msu_ru_nsh/ru_0806", "ivrvoice_ru/ru_followme_sorry"]
    evaluate_folders(
        folders["recording"], systems, tmp_path / "scores", ("mstft",), utterances=some, jobs=1
    )
    page = build_report(tmp_path / "scores", tmp_path / "page", jobs=1, progress=False)
    text = page.read_text(encoding="utf-8")
    listed = re.findall(r'<ul class="sentences"><li>(.*?)</ul>', text, re.S)
    assert len(listed) == 1
    assert "a little noise" in listed[0]
    assert "recording" not in listed[0]
    assert "recording is a copy of the reference, sample for sample" in text
    assert text.count("is the reference itself and does not compete") == 1


def test_scores_in_the_data_are_those_of_the_table(report, evaluation):
    data = data_of(report)
    assert [m["key"] for m in data["metrics"]] == ["mstft", "mel_distance", "voicing_error"]
    rows = (evaluation / "utterances.csv").read_text().splitlines()
    row = next(r for r in rows if r.startswith("much noise,msu_ru_nsh/ru_0806,")).split(",")
    utterance = next(u for u in data["utterances"] if u["name"] == "msu_ru_nsh/ru_0806")
    assert utterance["scores"] == [None, utterance["scores"][1], [float(x) for x in row[4:7]]]
    bad = next(u for u in data["utterances"] if u["name"] == "msu_ru_nsh/ru_0683")
    assert bad["has"] == [True, False, True]
    assert "not an audio file" in bad["problems"][1]
    assert bad["scores"][1] == [None, None, None]


def test_embedded_everything_is_in_one_file(evaluation, folders, tmp_path):
    page = build_report(evaluation, tmp_path / "one", embed_audio=True, jobs=1, progress=False)
    assert list(contents(tmp_path / "one")) == ["report.html"]
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(
        r'<script type="application/json" id="media-\d+">(.*?)</script>', text, re.S
    )
    names = [u["name"] for u in data_of(page)["utterances"]]
    assert len(blocks) == len(names) == 8
    audio, spectrogram, difference, f0 = json.loads(blocks[names.index("msu_ru_nsh/ru_0806")])[2]
    original = (folders["much noise"] / "msu_ru_nsh" / "ru_0806.wav").read_bytes()
    assert base64.b64decode(audio.removeprefix("data:audio/wav;base64,")) == original
    for picture in (spectrogram, difference):
        png = base64.b64decode(picture.removeprefix("data:image/png;base64,"))
        assert png.startswith(b"\x89PNG")
    assert b"<svg" in base64.b64decode(f0.removeprefix("data:image/svg+xml;base64,"))


def test_worker_processes_make_what_one_process_makes(tmp_path):
    for seed in range(3):
        clean = torch.from_numpy(speech_like(seed=seed))
        write_audio(tmp_path / "r" / f"{seed}.wav", clean, RATE)
        write_audio(tmp_path / "s" / f"{seed}.wav", with_noise(clean, 10), RATE)
    evaluate_folders(tmp_path / "r", {"s": tmp_path / "s"}, tmp_path / "e", ("mstft",), jobs=1,
                     progress=False)  # fmt: skip
    one, two = (
        contents(
            build_report(tmp_path / "e", tmp_path / str(jobs), jobs=jobs, progress=False).parent
        )
        for jobs in (1, 2)
    )
    assert one == two
    assert len(one) == 1 + 3 * (3 + 4)


def test_a_delay_is_taken_out_of_the_pictures_and_left_in_the_sound(tmp_path):
    clean = torch.from_numpy(speech_like())
    late = torch.nn.functional.pad(clean, (480, 0))[: len(clean)]
    for folder, wave in (("r", clean), ("late", late), ("same", clean)):
        write_audio(tmp_path / folder / "u.wav", wave, RATE)
    systems = {name: tmp_path / name for name in ("late", "same")}
    evaluate_folders(tmp_path / "r", systems, tmp_path / "s", ("mstft",), jobs=1, progress=False)
    made = contents(build_report(tmp_path / "s", tmp_path / "o", jobs=1, progress=False).parent)
    aligned = made["assets/late/u.difference.png"]
    sound = read_audio(tmp_path / "o/assets/late/u.wav").waveform
    assert (sound[:480] == 0).all()
    # With the delay in it the picture would be full of colours: so much larger is that.
    evaluate_folders(
        tmp_path / "r", systems, tmp_path / "s0", ("mstft",), jobs=1, progress=False,
        max_delay_ms=0.0,
    )  # fmt: skip
    unaligned = contents(build_report(tmp_path / "s0", tmp_path / "o0", progress=False).parent)
    assert len(unaligned["assets/late/u.difference.png"]) > 4 * len(aligned)


def test_a_matched_level_is_in_the_pictures_and_not_in_the_sound(tmp_path):
    clean = torch.from_numpy(speech_like())
    write_audio(tmp_path / "r" / "u.wav", clean, RATE)
    write_audio(tmp_path / "s" / "u.wav", 0.5 * clean, RATE)
    brightness = {}
    for match_level in (False, True):
        scores, page = tmp_path / f"scores{match_level}", tmp_path / f"page{match_level}"
        evaluate_folders(tmp_path / "r", {"s": tmp_path / "s"}, scores, ("mstft",), jobs=1,
                         progress=False, match_level=match_level)  # fmt: skip
        made = contents(build_report(scores, page, jobs=1, progress=False).parent)
        picture = io.BytesIO(made["assets/s/u.difference.png"])  # no difference is dark
        brightness[match_level] = imread(picture)[..., :3].mean()
        assert made["assets/s/u.wav"] == (tmp_path / "s" / "u.wav").read_bytes()
    assert brightness[False] > 2 * brightness[True]


@pytest.mark.parametrize(("seconds", "drawn"), [(0.3, True), (0.7, False)])
def test_a_difference_is_drawn_of_what_the_evaluation_compared(tmp_path, seconds, drawn):
    clean = torch.from_numpy(speech_like())
    write_audio(tmp_path / "r" / "u.wav", clean, RATE)
    longer = torch.cat([clean, torch.zeros(round(seconds * RATE))])
    write_audio(tmp_path / "s" / "u.wav", longer, RATE)
    evaluate_folders(tmp_path / "r", {"s": tmp_path / "s"}, tmp_path / "e", ("mstft",), jobs=1,
                     progress=False)  # fmt: skip
    made = contents(build_report(tmp_path / "e", tmp_path / "o", jobs=1, progress=False).parent)
    assert ("assets/s/u.difference.png" in made) == drawn


def test_files_with_other_names_are_found_as_the_evaluation_found_them(tmp_path):
    clean = torch.from_numpy(speech_like())
    write_audio(tmp_path / "r" / "u.wav", clean, RATE)
    write_audio(tmp_path / "s" / "u_gen.wav", with_noise(clean, 20), RATE)
    evaluate_folders(tmp_path / "r", {"s": tmp_path / "s"}, tmp_path / "e", ("mstft",), jobs=1,
                     progress=False, strip_suffixes=("_gen",))  # fmt: skip
    made = contents(build_report(tmp_path / "e", tmp_path / "o", jobs=1, progress=False).parent)
    assert made["assets/s/u.wav"] == (tmp_path / "s" / "u_gen.wav").read_bytes()


def test_rates_and_formats_may_differ_between_systems(tmp_path):
    import soundfile
    import soxr

    clean = speech_like()
    write_audio(tmp_path / "r" / "u.wav", torch.from_numpy(clean), RATE)
    (tmp_path / "s").mkdir()
    upsampled = soxr.resample(clean, RATE, 24000)
    soundfile.write(tmp_path / "s" / "u.flac", np.stack([upsampled] * 2, axis=1), 24000)
    evaluate_folders(tmp_path / "r", {"s": tmp_path / "s"}, tmp_path / "e", ("mstft",), jobs=1,
                     progress=False)  # fmt: skip
    made = contents(build_report(tmp_path / "e", tmp_path / "o", progress=False).parent)
    assert made["assets/s/u.flac"] == (tmp_path / "s" / "u.flac").read_bytes()
    assert len(made["assets/s/u.png"]) > 1000


# -- whole or not at all -------------------------------------------------------------------------


def test_formats_that_browsers_do_not_play_become_wavs(tmp_path):
    wave = speech_like()
    for name, ending in (("recording", "aiff"), ("system", "au")):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / f"a.{ending}", 0.5 * wave, RATE)
    evaluate_folders(
        tmp_path / "recording", {"system": tmp_path / "system"}, tmp_path / "scores", ("mstft",),
        jobs=1, progress=False,
    )  # fmt: skip
    page = build_report(tmp_path / "scores", tmp_path / "page", jobs=1, progress=False)
    assert {name for name in contents(page.parent) if "a." in name and ".png" not in name} >= {
        "assets/recording/a.wav", "assets/system/a.wav",
    }  # fmt: skip
    heard = read_audio(page.parent / "assets" / "system" / "a.wav").waveform
    assert (heard - read_audio(tmp_path / "system" / "a.au").waveform).abs().max() < 1 / 32768


def test_audio_newer_than_its_scores_draws_a_warning(evaluation, folders, tmp_path):
    scores = tmp_path / "scores"
    shutil.copytree(evaluation, scores)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_report(scores, tmp_path / "page", jobs=1, progress=False)
    newer = folders["much noise"] / "msu_ru_nsh" / "ru_0806.wav"
    known = newer.stat()
    os.utime(newer, (known.st_atime, (scores / "utterances.csv").stat().st_mtime + 10))
    try:
        with pytest.warns(AudioWarning, match=r"ru_0806\.wav: newer than the scores in .*scores"):
            build_report(scores, tmp_path / "page", jobs=1, progress=False)
    finally:
        os.utime(newer, (known.st_atime, known.st_mtime))


def test_a_report_replaces_an_earlier_one_only_when_it_is_complete(
    evaluation, tmp_path, monkeypatch
):
    output = tmp_path / "page"
    build_report(evaluation, output, "first", jobs=1, progress=False)
    before = contents(output)

    def broken(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(media, "spectrogram_png", broken)
        with pytest.raises(KeyboardInterrupt):
            build_report(evaluation, output, "second", jobs=1, progress=False)
    assert contents(output) == before
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    (output / "assets" / "left over").write_text("from an earlier one")
    build_report(evaluation, output, "third", jobs=1, progress=False)
    assert "<title>third</title>" in (output / "report.html").read_text()
    assert contents(output).keys() == before.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_nothing_but_a_report_is_replaced(evaluation, tmp_path):
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "chapter.tex").write_text("years of work")
    with pytest.raises(VocoderError, match=r"thesis: holds chapter\.tex"):
        build_report(evaluation, output, progress=False)
    assert (output / "chapter.tex").read_text() == "years of work"
    with pytest.raises(VocoderError, match="is a file"):
        build_report(evaluation, output / "chapter.tex", progress=False)
    with pytest.raises(VocoderError, match="cannot be written"):
        build_report(evaluation, output / "chapter.tex" / "page", progress=False)


# -- file names ----------------------------------------------------------------------------------


def test_file_names_are_plain_short_and_unlike_each_other():
    awkward = ["a/b", "a_b", "A/B", "ё", "й", "..", ".hidden", "x" * 300, "x" * 299, "50 % #1?"]
    names = file_names(awkward)
    assert len({name.lower() for name in names.values()}) == len(awkward)
    for name in names.values():
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name)
        assert len(name) < 90


def test_awkward_names_make_a_report(tmp_path):
    clean = torch.from_numpy(speech_like())
    for name in ("ёлка/#1 50%?.wav", "елка/#1 50%&.wav"):
        write_audio(tmp_path / "r" / name, clean, RATE)
        write_audio(tmp_path / "s" / name, with_noise(clean, 20), RATE)
    evaluate_folders(tmp_path / "r", {"</script><b>": tmp_path / "s"}, tmp_path / "e", ("mstft",),
                     jobs=1, progress=False)  # fmt: skip
    page = build_report(tmp_path / "e", tmp_path / "o", jobs=1, progress=False)
    data = data_of(page)
    assert data["players"][1] == "</script><b>"
    assert "</script><b>" not in page.read_text(encoding="utf-8")
    paths = [u["media"][1][0] for u in data["utterances"]]
    assert len(set(paths)) == 2
    assert all((tmp_path / "o" / path).is_file() for path in paths)


# -- the command ---------------------------------------------------------------------------------


def run(*arguments: object):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_command_says_where_the_page_is(evaluation, tmp_path):
    cost = cost_file(tmp_path / "c.json", 0.1)
    options = ("--output", tmp_path / "o", "--jobs", 1, "--cost", f"much noise={cost}")
    result = run(evaluation, *options, "--title", "Mine")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "o" / "report.html")
    page = (tmp_path / "o" / "report.html").read_text()
    assert "<h1>Mine</h1>" in page
    assert "No cost was given for a little noise." in page
    said = json.loads(run(evaluation, *options, "--json").stdout)
    assert said == {"page": str(tmp_path / "o" / "report.html")}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{tmp}/nowhere",), "nowhere/summary.json: cannot be read"),
        (("{evaluation}", "--cost", "nobody={cost}"), "--cost nobody: no such system"),
        (("{evaluation}", "--cost", "much noise"), "--cost much noise: write it as NAME=FILE"),
        (
            ("{evaluation}", "--cost", "much noise={cost}", "--cost", "much noise={cost}"),
            "stands there twice",
        ),
        (("{evaluation}", "--cost", "much noise={tmp}/no.json"), "no.json: cannot be read"),
        (("{evaluation}", "--jobs", "0"), "jobs: 0"),
    ],
)
def test_the_command_refuses_in_one_line_and_writes_nothing(evaluation, tmp_path, arguments, said):
    cost = cost_file(tmp_path / "c.json", 0.1)
    given = [a.format(tmp=tmp_path, evaluation=evaluation, cost=cost) for a in arguments]
    result = run(*given, "--output", tmp_path / "o")
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.strip()]
    assert line.startswith("error: ")
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]
