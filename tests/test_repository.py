"""The repository as a whole: pins, sizes, shipped files, scripts."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
import soundfile
from packaging.requirements import Requirement

from vocoder.data.audio import read_audio
from vocoder.data.corpora import CORPORA
from vocoder.data.manifest import read_manifest

LARGEST_BYTES = 5_000_000
# Shell words that a run.sh may use beside the program itself.
SHELL_WORDS = {"set", "cd", "for", "do", "done", "vocoder"}
# The folder of egs/ that is no corpus.
NO_CORPUS = {"report"}
# Studies with tables of many systems instead of one question.
OVERVIEWS = {"comparison", "published", "validation"}
# The report lays files out, and makes Opus, which no part of the program does.
REPORT_WORDS = {"if", "echo", "exit", "fi", "mkdir", "cp", "ffmpeg"}
REPORT_REDIRECTIONS = r' >(/dev/null|&2|"\$RUN/\w+\.json")'


def tracked(repository: Path) -> list[Path]:
    """Files under version control, as they are in the working folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, check=True, text=True
    )
    paths = [repository / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module", params=[".", "runtime"])
def folder(repository: Path, request: pytest.FixtureRequest) -> Path:
    """The folder of each distribution: vocoder, and vocoder-runtime."""
    return repository / request.param


@pytest.fixture(scope="module")
def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def declared(project: dict) -> dict[str, str]:
    """All dependencies, extras included but for one in another: name → its whole requirement."""
    requirements = list(project["dependencies"])
    for extra in project.get("optional-dependencies", {}).values():
        requirements += extra
    found = {normalised(re.match(r"[\w.-]+", text)[0]): text for text in requirements}
    return {name: text for name, text in found.items() if name != project["name"]}


def pinned(repository: Path) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text().splitlines()
    return {normalised(name): version for name, version in (line.split("==") for line in lines)}


def test_every_declared_dependency_is_pinned(repository: Path, project: dict):
    missing = declared(project).keys() - pinned(repository).keys()
    assert not missing, f"run `make constraints`; without a pin: {sorted(missing)}"


def test_every_pin_is_one_exact_public_version(repository: Path):
    for line in (repository / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_every_pin_satisfies_its_declared_range(repository: Path, project: dict):
    pins = pinned(repository)
    for name, text in declared(project).items():
        assert Requirement(text).specifier.contains(pins[name]), f"{text} but {pins[name]}"


def test_every_import_of_the_package_is_declared(folder: Path, project: dict):
    modules = {
        "yaml": "pyyaml",
        "PIL": "pillow",
        "parselmouth": "praat-parselmouth",
        "visqol": "visqol-python",
    }
    known = declared(project).keys() | {project["name"]}
    modules_of_package = list((folder / project["name"].replace("-", "_")).rglob("*.py"))
    assert len(modules_of_package) > 3
    for path in modules_of_package:
        for module in imported(path) - sys.stdlib_module_names:
            assert normalised(modules.get(module, module)) in known, f"{path}: {module}"


def test_every_distribution_carries_the_licence(repository: Path, folder: Path):
    assert (folder / "LICENSE").read_bytes() == (repository / "LICENSE").read_bytes()


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(
    repository: Path, folder: Path, project: dict, tmp_path: Path
):
    """Weights, templates and all, but for weights that no name loads yet."""
    build = ("-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path)
    subprocess.run([sys.executable, *build], cwd=folder, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    package = folder / project["name"].replace("-", "_")
    source = {
        path.relative_to(folder).as_posix()
        for path in tracked(repository)
        if path.is_relative_to(package) and not path.is_relative_to(package / "weights" / "next")
    }
    names = set(ZipFile(wheel).namelist())
    assert len(source) > 3
    assert source <= names
    assert not [name for name in names if "weights/next" in name]


def imported(path: Path) -> set[str]:
    """Top-level names of the packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def test_nothing_large_is_tracked(repository: Path):
    sizes = {path: path.stat().st_size for path in tracked(repository)}
    assert {path: size for path, size in sizes.items() if size > LARGEST_BYTES} == {}


def test_no_path_of_a_machine_is_tracked(repository: Path):
    machine_path = re.compile(rb"(?<![\w.$}~])/(?:root|work|home/\w+)/")
    this_file = Path(__file__).resolve()
    for path in tracked(repository):
        if path.suffix not in {".wav", ".png", ".safetensors"} and path.resolve() != this_file:
            assert not machine_path.search(path.read_bytes()), path


def test_the_tiny_corpus_agrees_with_its_manifest(tiny_corpus: Path):
    utterances = read_manifest(tiny_corpus / "manifest.jsonl")
    on_disk = {path.relative_to(tiny_corpus) for path in tiny_corpus.rglob("*.wav")}
    assert {utterance.path for utterance in utterances} == on_disk
    for utterance in utterances:
        info = soundfile.info(tiny_corpus / utterance.path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert utterance.duration_s == info.duration
        audio = read_audio(tiny_corpus / utterance.path)
        assert audio.notes == []
        assert audio.waveform.abs().max() > 0.1


def test_the_tiny_corpus_has_what_the_demo_and_the_recipes_need(tiny_corpus: Path):
    utterances = read_manifest(tiny_corpus / "manifest.jsonl")
    of_split = {
        split: [u for u in utterances if u.split == split] for split in ("train", "valid", "test")
    }
    assert {split: len(found) for split, found in of_split.items()} == {
        "train": 4,
        "valid": 1,
        "test": 3,
    }
    shown = of_split["valid"] + of_split["test"]
    assert len({u.speaker for u in shown}) == 4
    assert {u.speaker for u in of_split["train"]}.isdisjoint({"carlo", "ivrvoice_ru"})
    assert sum(u.duration_s for u in utterances) <= 25
    assert sum(path.stat().st_size for path in tiny_corpus.rglob("*.wav")) < 1_000_000


def test_the_tiny_corpus_carries_the_notices_of_its_files(tiny_corpus: Path):
    summary = (tiny_corpus / "LICENCES.md").read_text(encoding="utf-8")
    for utterance in read_manifest(tiny_corpus / "manifest.jsonl"):
        stem = utterance.path.stem
        assert f"/{stem}.wav`" in summary or f"/{stem[:2]}_*.wav`" in summary, stem
        assert utterance.licence.removesuffix(" (festvox-ru)") in summary
    asterisk = (tiny_corpus / "LICENCE-asterisk.txt").read_text(encoding="utf-8")
    for holder in ("Allison Smith", "June Wallack", "Maxim Topal", "Carlo Flora"):
        assert holder in asterisk
        assert holder in summary
    festvox = (tiny_corpus / "LICENCE-festvox-ru.txt").read_text(encoding="utf-8")
    assert "Nickolay V. Shmyrev  Copyright (c) 2005" in festvox


ROOT = Path(__file__).parents[1]
CORPORA_SCRIPTS = sorted((ROOT / "egs").glob("*/run.sh"))
STUDIES = sorted(path.parent for path in (ROOT / "studies").glob("*/run.sh"))


def test_every_corpus_has_a_readme_and_a_run_script(repository: Path):
    folders = {path.name for path in (repository / "egs").iterdir() if path.is_dir()}
    assert {path.parent.name for path in CORPORA_SCRIPTS} == folders
    assert {"festvox_ru", "multispeaker", "ljspeech", "vctk", "libritts", "tiny"} <= folders
    for folder in folders:
        assert (repository / "egs" / folder / "README.md").is_file()
        assert not list((repository / "egs" / folder).rglob("*.py")), "egs calls the command line"


def test_every_study_has_a_run_script_and_its_results(repository: Path):
    overview = (repository / "studies" / "README.md").read_text(encoding="utf-8")
    folders = {
        path.name
        for path in (repository / "studies").iterdir()
        if path.is_dir() and list(path.glob("*.py"))
    }
    assert {path.name for path in STUDIES} == folders
    for folder in STUDIES:
        assert f"({folder.name}/RESULTS.md)" in overview
        results = (folder / "RESULTS.md").read_text(encoding="utf-8")
        assert f"studies/{folder.name}/run.sh" in results
        if folder.name not in OVERVIEWS:
            assert re.search(r"^\| --- \|", results, re.MULTILINE), f"{folder}: no table"
            assert "\n## Answer\n" in results
        for picture in re.findall(r"!\[.*?\]\((\S+)\)", results):
            assert (folder / picture).is_file()


def test_run_scripts_are_bash_that_stops_at_the_first_error():
    for path in [*CORPORA_SCRIPTS, *(s / "run.sh" for s in STUDIES)]:
        subprocess.run(["bash", "-n", path], check=True)
        assert path.stat().st_mode & 0o111, "not executable"
        assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CORPORA_SCRIPTS, ids=str)
def test_run_scripts_of_corpora_call_the_command_line_only(path: Path):
    text = path.read_text(encoding="utf-8")
    commands = re.sub(r"^#.*\n|; do$", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    words = SHELL_WORDS
    if path.parent.name in NO_CORPUS:
        words = SHELL_WORDS | REPORT_WORDS
        commands = re.sub(rf"{REPORT_REDIRECTIONS}|; then$", "", commands, flags=re.MULTILINE)
    for line in filter(None, commands.splitlines()):
        # No pipe, list or substitution hides another program; only the folder's name is asked for.
        assert not re.search(r"[`|;&<>]", line), line
        assert "$(" not in line.replace('"$(dirname "$0")', ""), line
        assignment = re.match(r"\s*\w+=", line)
        assert assignment or line.split()[0] in words, line


@pytest.mark.parametrize("name", sorted({path.parent.name for path in CORPORA_SCRIPTS} - NO_CORPUS))
def test_run_scripts_name_recipes_and_corpora_that_exist(repository: Path, name: str):
    text = (repository / "egs" / name / "run.sh").read_text()
    recipes = re.findall(r"vocoder train (\S+)", text)
    assert recipes == [f"recipes/source_filter/{name}.yaml"]
    assert (repository / recipes[0]).is_file()
    assert set(re.findall(r"vocoder prepare (\S+)", text)) <= CORPORA.keys()
