"""The comparison under one budget: rules, counts, tables, and one complete run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from bench.baselines import Entry, Row, entries, measure
from studies.comparison import likelihood
from studies.comparison.costs import measure_costs, read_costs
from studies.comparison.curves import choose_excerpts, read_snapshots
from studies.comparison.figures import Line, draw_curves, spread, style
from studies.comparison.operations import Operations, StepOperations, count_step
from studies.comparison.outcome import (
    Outcome,
    Outcomes,
    Point,
    Training,
    Untrained,
    read_all,
    write_outcome,
)
from studies.comparison.systems import (
    CLASSICAL,
    OURS,
    TEACHERS,
    Layout,
    all_systems,
    choose,
    settings_of,
)
from studies.comparison.tables import (
    advantage,
    line_of,
    nearest_rival,
    readme_table,
    verdict,
    write_results,
)
from studies.comparison.train import Budget, jobs
from studies.scores import Scores
from studies.scripts import replace_blocks
from tests.training.tiny import ROOT
from vocoder.data.manifest import Utterance
from vocoder.errors import VocoderError
from vocoder.evaluation.comparison import Comparison
from vocoder.evaluation.cost import Cost, Memory, count_macs, count_operations, fft_macs
from vocoder.evaluation.summary import MetricNote
from vocoder.loading import DESCRIPTION, dump_description
from vocoder.training.checkpoint import RECIPE, save_checkpoint
from vocoder.training.recipe import dump_recipe, load_recipe

pytestmark = pytest.mark.slow

SYSTEMS = all_systems()


def utterance(name: str, duration_s: float, split: str = "valid") -> Utterance:
    return Utterance(
        path=Path(f"{name}.wav"), speaker="s", split=split, duration_s=duration_s, licence="none"
    )


# -- who takes part ------------------------------------------------------------------------------


def test_ours_comes_first_and_every_budget_recipe_takes_part():
    stems = {path.stem for path in (ROOT / "recipes" / "baselines" / "budget").glob("*.yaml")}
    assert next(iter(SYSTEMS)) == OURS
    assert set(SYSTEMS) == (stems - {"common"}) | {OURS}


def test_all_systems_share_speech_mel_and_budget():
    ours = SYSTEMS[OURS].recipe
    for system in SYSTEMS.values():
        recipe = system.recipe
        # Half of a student's budget is its teacher's.
        shares = 2 if system.name in TEACHERS else 1
        assert shares * recipe.training.budget_minutes == ours.training.budget_minutes
        assert recipe.mel == ours.mel
        assert recipe.data.manifests == ours.data.manifests
        assert recipe.data.gain_db == ours.data.gain_db
        assert recipe.data.speeds == ours.data.speeds
        assert recipe.training.threads == ours.training.threads
        assert recipe.training.snapshots == ours.training.snapshots
        assert recipe.training.ema_decay == ours.training.ema_decay
        assert recipe.initialise_from is None
    assert ours.adversarial is None


def test_an_unknown_system_is_refused_with_the_nearest_name():
    assert [system.name for system in choose(["vocos", OURS], SYSTEMS)] == [OURS, "vocos"]
    assert len(choose([], SYSTEMS)) == len(SYSTEMS)
    with pytest.raises(VocoderError, match="did you mean vocos"):
        choose(["vocoss"], SYSTEMS)


# -- rules ---------------------------------------------------------------------------------------


def test_excerpts_are_the_shortest_that_are_long_enough():
    found = [utterance(f"u{i}", 3 + 0.5 * i) for i in range(10)]
    found += [utterance("short", 2.9), utterance("other", 3.1, "test")]
    chosen = choose_excerpts(found[::-1])
    assert [u.path.stem for u in chosen] == [f"u{i}" for i in range(8)]
    with pytest.raises(VocoderError, match="no utterance of split valid lasts 3 s"):
        choose_excerpts([utterance("short", 2.9)])


def test_a_student_and_its_teacher_share_one_budget(tmp_path: Path):
    student = SimpleNamespace(name="student", path=Path("student.yaml"), teacher="teacher")
    teacher = SimpleNamespace(name="teacher", path=Path("teacher.yaml"), teacher=None)
    systems = {"student": student, "teacher": teacher}
    budget = Budget(Path("m.jsonl"), 30.0, 2, ("model.x=1",))
    layout = Layout(tmp_path)
    first, second = jobs(student, 1, budget, layout, systems)
    assert (first.recipe, second.recipe) == (teacher.path, student.path)
    for job in (first, second):
        assert "training.budget_minutes=15.0" in job.settings
        assert "training.seed=1" in job.settings
        assert "data.manifests=[m.jsonl]" in job.settings
        assert "model.x=1" in job.settings
    assert "training.snapshots=[]" in first.settings
    assert f"loss.teacher={first.output}" in second.settings
    (alone,) = jobs(teacher, 0, budget, layout, systems)
    assert "training.budget_minutes=30.0" in alone.settings
    assert len({first.output, second.output, alone.output}) == 3


def test_settings_survive_the_command_line():
    values = {"training.snapshots": [0.5, 1.0], "loss.teacher": "a b/c", "training.threads": 2}
    arguments = settings_of(values)
    assert arguments[::2] == ["--set"] * 3
    assert arguments[1::2] == [
        "training.snapshots=[0.5, 1.0]",
        "loss.teacher=a b/c",
        "training.threads=2",
    ]


def outcome(
    system: str, curve: list[float | None], test: list[float], seed: int = 0, metric: str = "pesq"
) -> Outcome:
    """A run with these scores of one excerpt along the way and of some test utterances."""
    points = [
        Point(
            steps=10 * (index + 1),
            spent_s=60.0 * (index + 1),
            scores=Scores(utterances=("excerpt",), values={metric: (value,)}),
        )
        for index, value in enumerate(curve)
    ]
    names = tuple(f"utterance-{index:02d}" for index in range(len(test)))
    return Outcome(
        system=system,
        seed=seed,
        finished="2026-11-29",
        training=Training(
            steps=10 * len(curve), spent_s=60.0 * len(curve), threads=1, recipe_sha256="0" * 16,
            commit="0000000",
        ),
        teacher=None,
        operations=Operations(StepOperations(1e9, 1e9, 0), None, None),
        curve=tuple(points),
        test=Scores(utterances=names, values={metric: tuple(test)}),
    )  # fmt: skip


def test_the_nearest_rival_has_the_best_pesq_at_the_end(tmp_path: Path):
    outcomes = Outcomes(tmp_path)
    with pytest.raises(VocoderError, match="no rival has an outcome"):
        nearest_rival({})
    for system, curve in {
        OURS: [1.0, 4.0],
        "a": [3.0, 2.0],  # best half-way
        "b": [1.0, 2.5],
        "c": [1.0, None],  # no score at the end
    }.items():
        write_outcome(outcomes, outcome(system, curve, [1.0]))
    found = read_all(outcomes, dict.fromkeys([OURS, "a", "b", "c", "never trained"]))
    assert list(found) == [OURS, "a", "b", "c"]
    assert nearest_rival(found) == "b"
    line = line_of("B", "pesq", found["b"])
    assert (line.minutes, line.operations, line.means) == ([1, 2], [1e10, 2e10], [1.0, 2.5])
    with pytest.raises(VocoderError, match="chosen by pesq"):
        nearest_rival({"d": outcome("d", [0.1], [1.0], metric="mstft")})


def test_snapshots_come_in_the_order_of_the_training(tmp_path: Path):
    with pytest.raises(VocoderError, match="no snapshots"):
        read_snapshots(tmp_path)
    for name, step in {"at-1000": 7, "at-0050": 300}.items():
        metadata = {"step": step, "spent_s": float(step), "mel_fingerprint": "x"}
        save_checkpoint(tmp_path / "snapshots" / name, {}, {}, metadata)
    assert list(read_snapshots(tmp_path)) == ["at-1000", "at-0050"]


# -- counts --------------------------------------------------------------------------------------


def test_a_step_of_a_small_network_is_counted_as_by_hand():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 50)
    spread_out = torch.nn.Conv1d(8, 8, 7, padding=3, groups=8)
    mixed = torch.nn.ConvTranspose1d(8, 4, 4, stride=2)
    out = torch.nn.Linear(102, 64)

    def step() -> None:
        spectrum = torch.fft.rfft(out(mixed(spread_out(x))))
        spectrum.abs().sum().backward()

    # Two operations a multiply-accumulate; backward once for weights and once for inputs, but for
    # the inputs of the first layer, which are data.
    first = 2 * 2 * 8 * 7 * 50
    second = 2 * 2 * 8 * 4 * 4 * 50
    third = 2 * 2 * 4 * 102 * 64
    # The transform's own gradient is a full complex transform.
    transforms = 2 * 8 * (fft_macs(64) + fft_macs(64, real=False))
    assert count_operations(step) == 2 * first + 3 * second + 3 * third + transforms


def test_a_training_step_is_both_passes_and_grows_with_the_batch():
    recipe = load_recipe(SYSTEMS[OURS].path, ["model.channels=32", "data.batch_size=2"])
    double = load_recipe(SYSTEMS[OURS].path, ["model.channels=32", "data.batch_size=4"])
    one, two = count_step(recipe), count_step(double)
    assert one.before == one.after
    assert two.after == pytest.approx(2 * one.after, rel=1e-3)
    model = recipe.build_model()
    macs = count_macs(model, torch.zeros(2, 80, 56 + sum(model.context)))
    assert 4 * macs < one.after < 12 * macs  # three passes, and the losses' transforms


def test_the_adversarial_stage_is_counted_from_its_beginning():
    recipe = load_recipe(
        ROOT / "recipes" / "source_filter" / "tiny.yaml", ["adversarial.start_step=100"]
    )
    counted = count_step(recipe)
    assert counted.start_step == 100
    assert counted.after > 1.2 * counted.before
    assert counted.until(130) == 100 * counted.before + 30 * counted.after


def test_a_teachers_operations_count_for_its_student():
    known = Operations(StepOperations(2, 2, 0), StepOperations(5, 5, 0), None)
    assert known.training(10, teacher_steps=3) == 35


def test_the_bench_measures_what_a_model_says_of_itself():
    sizes = {(entry.name, entry.size) for entry in entries()}
    assert {
        (OURS, "paper"),
        (OURS, "budget"),
        ("hifigan_v1", "paper"),
        ("lpc", "classical"),
    } <= sizes
    assert {(name, "budget") for name in SYSTEMS} <= sizes
    row = measure(Entry(OURS, "budget", str(SYSTEMS[OURS].path)), longest_s=0.3, repeats=1)
    model = SYSTEMS[OURS].recipe.build_model()
    assert row.cost.parameters == model.parameters_count
    assert row.latency_s == model.lookahead_frames * 256 / 16000
    assert row.cost.audio_s >= 0.3
    mel = torch.zeros(1, 80, round(row.cost.audio_s * 16000 / 256))
    expected = count_macs(model, mel) / row.cost.audio_s
    assert row.cost.macs_per_second == pytest.approx(expected)
    assert 0 < row.cost.memory.increase < row.cost.memory.peak


def test_costs_are_added_to_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[list[str]] = []

    def all_or_these(names: list[str]) -> list[Entry]:
        asked.append(list(names))
        return [Entry(name, "budget", "") for name in names or [*SYSTEMS, *CLASSICAL]]

    monkeypatch.setattr("studies.comparison.costs.chosen", all_or_these)
    monkeypatch.setattr("studies.comparison.costs.measure", lambda entry: cost_row(entry.name))
    path = tmp_path / "costs.json"
    for names in ([OURS], [OURS, "vocos"], ["vocos"], [], [], [OURS]):
        measure_costs(path, names)
    assert asked == [[OURS], ["vocos"], []]
    assert {row.name for row in read_costs(path)} == {*SYSTEMS, *CLASSICAL}


def cost_row(name: str) -> Row:
    memory = Memory(peak=2, increase=1)
    cost = Cost(1, 1.0, 0.1, 0.1, parameters=1, macs_per_second=1.0, memory=memory)
    return Row(name, "classical" if name in CLASSICAL else "budget", 16000, None, cost)


# -- tables --------------------------------------------------------------------------------------


def test_text_around_the_tables_is_kept(tmp_path: Path):
    path = tmp_path / "RESULTS.md"
    path.write_text("A\n<!-- begin one -->\nold\n<!-- end one -->\nB\n<!-- begin two -->\n"
                    "<!-- end two -->\nC\n")  # fmt: skip
    text = replace_blocks(path, {"one": "| new |", "two": "also"})
    assert text == (
        "A\n<!-- begin one -->\n\n| new |\n\n<!-- end one -->\nB\n<!-- begin two -->\n\n"
        "also\n\n<!-- end two -->\nC\n"
    )
    path.write_text(text)
    assert replace_blocks(path, {"one": "| new |", "two": "also"}) == text
    with pytest.raises(VocoderError, match="marks blocks one, two"):
        replace_blocks(path, {"one": "x"})
    path.write_text("<!-- begin one -->")
    with pytest.raises(VocoderError, match="no <!-- end one -->"):
        replace_blocks(path, {"one": "x"})


def test_the_results_of_the_repository_have_all_marks():
    text = (ROOT / "studies" / "comparison" / "RESULTS.md").read_text()
    for name in ("training", "curves", "test", "verdicts", "against", "seeds", "costs"):
        assert text.count(f"<!-- begin {name} -->") == text.count(f"<!-- end {name} -->") == 1


def test_tables_come_from_outcomes_alone(tmp_path: Path):
    """Contents of a fresh clone: the text, and small files; no run, no audio, no corpus."""
    (tmp_path / "RESULTS.md").write_text(
        (ROOT / "studies" / "comparison" / "RESULTS.md").read_text(encoding="utf-8")
    )
    outcomes = Outcomes(tmp_path / "outcomes")
    draw = np.random.default_rng(0)
    hard = draw.normal(0, 0.3, 20)
    means = {(OURS, 0): 3.4, (OURS, 1): 3.5, ("vocos", 0): 2.0, ("vocos", 1): 2.1, ("nsf", 0): 3.39}
    for (system, seed), mean in means.items():
        scores = mean + hard + draw.normal(0, 0.05, 20)
        write_outcome(outcomes, outcome(system, [1.0, mean], scores.tolist(), seed))
    recording = Scores(utterances=("utterance-00",), values={"pesq": (4.644,)})
    write_outcome(outcomes, Untrained(system="recording", finished="2026-11-29", test=recording))
    text = write_results(tmp_path, outcomes, SYSTEMS).read_text()
    assert "| Vocos | PESQ-WB | – | – |" in text  # 1.4 better, paired, on twenty utterances
    assert "| NSF | – | – | PESQ-WB |" in text
    assert "| this model, seed 1 |" in text
    assert "Nearest rival by the rule of the README: NSF" in text
    assert "| this model | 2.0 | 20 | 1.0 | 0.000 | – |" in text
    assert (tmp_path / "figures" / "pesq.png").is_file()
    rows = [line.split(" | ")[:2] for line in readme_table(outcomes, SYSTEMS).splitlines()[2:]]
    assert [name for name, _ in rows] == ["| this model", "| NSF", "| Vocos", "| recording"]
    assert rows[3][1] == "4.64 |"


def test_the_readme_has_the_table_of_the_outcomes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    outcomes = Outcomes(ROOT / "studies" / "comparison" / "outcomes")
    table = readme_table(outcomes, all_systems())
    assert table in readme.split("<!-- begin budget -->")[1].split("<!-- end budget -->")[0]
    assert table.count("\n") > 12


@pytest.mark.parametrize(
    ("a", "better", "expected"),
    [
        ("ours", "higher", (0.3, 0.1, 0.5)),
        ("theirs", "higher", (-0.3, -0.5, -0.1)),
        ("ours", "lower", (-0.3, -0.5, -0.1)),
        ("theirs", "lower", (0.3, 0.1, 0.5)),
    ],
)
def test_an_advantage_is_positive_where_ours_is_better(a, better, expected):
    b = "theirs" if a == "ours" else "ours"
    compared = Comparison(
        metric="m", a=a, b=b, n=9, difference=0.3, low=0.1, high=0.5, p_value=0.01, p_holm=0.04,
        effect_size=1.0, sentence="",
    )  # fmt: skip
    note = MetricNote(label="m", better=better, decimals=2, convention="")
    found = advantage(compared, "ours", note)
    assert found == expected
    assert verdict(compared, found[0]) == ("✓" if expected[0] > 0 else "✗")
    unclear = compared.model_copy(update={"p_holm": 0.06})
    assert verdict(unclear, found[0]) == "≈"


# -- figures -------------------------------------------------------------------------------------


def test_names_are_moved_apart_no_more_than_needed():
    assert spread([0.1, 0.5, 0.9], 0.2) == [0.1, 0.5, 0.9]
    draw = np.random.default_rng(0)
    for _ in range(50):
        places = np.sort(draw.uniform(0, 1, 9))
        moved = np.array(spread(list(places), 0.07))
        assert (np.diff(moved) >= 0.07 - 1e-9).all()
        assert moved.mean() == pytest.approx(places.mean())


def test_styles_of_a_dozen_lines_differ():
    assert len({style(place, False) for place in range(1, 13)} | {style(0, True)}) == 13


def test_a_figure_shows_every_line_in_its_colour_on_white(tmp_path: Path):
    lines = [
        Line("ours", [1, 2, 4], [1e12, 2e12, 4e12], [1, 2, 3], [0.9, 1.9, 2.9], [1.1, 2.1, 3.1],
             ours=True),
        Line("first", [1, 3], [1e13, 3e13], [1.5, 2.0], [None, None], [None, None]),
        Line("second, with a long name", [2, 5], None, [1.0, 1.1], [None, None], [None, None]),
    ]  # fmt: skip
    path = tmp_path / "figures" / "pesq.png"
    draw_curves(path, lines, "PESQ-WB, higher is better", ("recording", 4.5))
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)
    assert (pixels == 255).all(axis=1).mean() > 0.8
    for place, line in enumerate(lines):
        colour = style(place, line.ours)[0]
        wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        near = (np.abs(pixels - wanted).max(axis=1) < 12).sum()
        assert near > 100, line.label


# -- likelihood ----------------------------------------------------------------------------------


def test_a_model_that_knows_nothing_needs_sixteen_bits_or_what_the_classes_share(tmp_path: Path):
    """Equal chances for all 256 classes of μ-law: 8 bits, and the steps within the class."""
    recipe = load_recipe(
        SYSTEMS["wavenet_gaussian"].path,
        ["model.output=mulaw", "model.layers=4", "model.stacks=1", "model.residual_channels=8",
         "model.gate_channels=8", "model.skip_channels=8"],
    )  # fmt: skip
    model = recipe.build_model()
    weights = {name: value.clone() for name, value in model.named_parameters()}
    # The direction of a normalised weight stays, its length is zero.
    last = [n for n in weights if n.startswith("stack.output") and "original1" not in n]
    assert len(last) == 2
    for name in last:
        weights[name].zero_()
    metadata = {"step": 1, "mel_fingerprint": model.spec.fingerprint}
    texts = {RECIPE: dump_recipe(recipe), DESCRIPTION: dump_description(recipe.description)}
    save_checkpoint(tmp_path / "run", weights, texts, metadata)
    bits = likelihood.bits_per_sample(tmp_path / "run", ROOT / "egs" / "tiny")
    widths = [
        likelihood.class_widths(batch.waveform, 256).log2()
        for batch in likelihood._middles(model, ROOT / "egs" / "tiny")
    ]
    expected = 8 + float(torch.cat(widths, dim=1).mean())
    assert bits == pytest.approx(expected, abs=1e-3)
    assert 10 < bits < 16


# -- all of it -----------------------------------------------------------------------------------


def test_the_whole_comparison_runs(tmp_path: Path):
    results = tmp_path / "results"
    results.mkdir()
    shipped = (ROOT / "studies" / "comparison" / "RESULTS.md").read_text()
    (results / "RESULTS.md").write_text(shipped)
    run = tmp_path / "run"
    environment = {
        **os.environ,
        "DATA": str(tmp_path / "data"),
        "CORPUS": "tiny",
        "SOURCE": str(ROOT / "egs" / "tiny"),
        "RUN": str(run),
        "RESULTS": str(results),
        "MINUTES": "0.02",
        "THREADS": "1",
        "SEEDS": "0",
        "STAGES": "train score tables report",
        "VOCODER_CACHE": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [
        str(ROOT / "studies" / "comparison" / "run.sh"), OURS, "ddsp", "--metrics", "pesq,mstft",
        "--set", "training.snapshots=[1.0]", "--set", "data.batch_size=2",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    names = {path.name for path in (ROOT / "egs" / "tiny" / "wavs" / "test").glob("*.wav")}
    for folder in (f"{OURS}/seed-0", "ddsp/seed-0", "world", "griffin_lim", "lpc"):
        written = {path.name for path in (run / "test" / folder / "audio").glob("*.wav")}
        assert written == names, folder
    text = (results / "RESULTS.md").read_text()
    for label in ("this model", "DDSP", "WORLD", "Griffin-Lim", "LPC vocoder", "recording"):
        assert f"\n| {label} |" in text, label
    assert (results / "figures" / "pesq.png").is_file()
    assert (run / "page" / "html" / "report.html").is_file()
    ended = Outcomes(results / "outcomes").read(OURS)
    assert ended.training.steps == ended.curve[-1].steps > 0
    assert ended.training.spent_s >= 0.02 * 60
    assert set(ended.test.utterances) == {Path(name).stem for name in names}
    assert {path.stem for path in (results / "outcomes").iterdir()} == {
        f"{OURS}-seed-0",
        "ddsp-seed-0",
        "recording",
        "world",
        "griffin_lim",
        "lpc",
    }
    # Again, without the runs: what stands around the tables is kept, and they come out the same.
    shutil.rmtree(run)
    (results / "RESULTS.md").write_text(f"{shipped}\nBy hand.\n")
    environment["STAGES"] = "tables"
    subprocess.run(command[:1], cwd=tmp_path, env=environment, check=True)
    assert (results / "RESULTS.md").read_text() == f"{text}\nBy hand.\n"
