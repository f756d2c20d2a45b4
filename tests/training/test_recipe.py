"""Recipes: what is read, and errors that name file, line and key."""

from pathlib import Path

import pytest
import yaml

from tests.training.tiny import TINY_RECIPE
from vocoder.errors import RecipeError
from vocoder.features.mel import PRESETS
from vocoder.training.recipe import (
    BOOKKEEPING,
    difference,
    load_recipe,
    parse_recipe,
)

pytest_plugins = ["tests.training.fixtures"]

VALID = """\
mel: speecht5_16k
data:
  manifests: [m.jsonl]
training:
  steps: 10
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_recipe(text: str, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_recipe


def refusal(path: Path, *overrides: str) -> str:
    """The one-line error of a recipe."""
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- reading -------------------------------------------------------------------------------------


def test_a_minimal_recipe_gets_the_defaults(write):
    recipe = load_recipe(write(VALID))
    assert recipe.mel == PRESETS["speecht5_16k"]
    assert recipe.training.steps == 10
    assert recipe.adversarial is None
    assert recipe.data.manifests == ("m.jsonl",)


def test_what_includes_overrides_what_is_included_key_by_key(write):
    write("training: {steps: 1, seed: 1, learning_rate: 0.1}\n", "base/a.yaml")
    write("training: {steps: 2, seed: 2}\ndata: {batch_size: 2}\n", "base/b.yaml")
    nested = "include: [a.yaml, b.yaml]\ndata: {segment_frames: 30}\n"
    write(nested, "base/c.yaml")
    recipe = load_recipe(
        write(
            "include: base/c.yaml\nmel: vocos_24k\ntraining: {steps: 3}\n"
            "data: {manifests: [x, y], batch_size: 5}\n"
        )
    )
    assert recipe.training.steps == 3
    assert recipe.training.seed == 2
    assert recipe.training.learning_rate == 0.1
    assert recipe.data.segment_frames == 30
    assert recipe.data.batch_size == 5


def test_a_section_can_be_switched_off_and_on_again(write):
    write(VALID + "adversarial: {start_step: 5}\n", "base.yaml")
    off = write("include: base.yaml\nadversarial: null\n", "off.yaml")
    assert load_recipe(off).adversarial is None
    assert load_recipe(off, ["adversarial.start_step=7"]).adversarial.start_step == 7


def test_overrides_are_yaml_and_the_last_one_counts(write):
    path = write(VALID)
    recipe = load_recipe(
        path,
        [
            "training.steps=20",
            "training.steps=30",
            "data.manifests=[a, b]",
            "model={channels: 8}",
            "training.learning_rate=1e-4",
            "mel=vocos_24k",
            "initialise_from=null",
        ],
    )
    assert recipe.training.steps == 30
    assert recipe.data.manifests == ("a", "b")
    assert recipe.model.channels == 8
    assert recipe.training.learning_rate == 1e-4
    assert recipe.mel == PRESETS["vocos_24k"]


def test_a_mel_can_be_described_in_full(write):
    fields = {**PRESETS["hifigan_22k"].model_dump(mode="json"), "n_mels": 100}
    recipe = load_recipe(write(VALID), [f"mel={yaml.safe_dump(fields, default_flow_style=True)}"])
    assert recipe.mel.n_mels == 100
    assert recipe.mel.magnitude_eps == 1e-9


# -- refusing ------------------------------------------------------------------------------------


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_valid_one(write):
    path = write(VALID + "  learning_rat: 0.1\n")
    assert refusal(path) == (
        f"{path}, line 6: unknown key training.learning_rat; did you mean learning_rate?"
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("modl: {blocks: 1}\n", 6, "unknown key modl; did you mean model?"),
        ("model:\n  pitch:\n    chanels: 3\n", 8, "model.pitch.chanels; did you mean channels?"),
        ("adversarial: {start_step: 1, perod: null}\n", 6, "did you mean period?"),
        ("adversarial:\n  start_step: 1\n  period:\n    grow: 2\n", 9, "did you mean growth?"),
        ("zzz: 1\n", 6, "unknown key zzz; valid are mel, model, pitch, data"),
    ],
)
def test_unknown_keys_of_every_depth(write, text: str, line: int, said: str):
    path = write(VALID + text)
    message = refusal(path)
    assert message.startswith(f"{path}, line {line}: ")
    assert said in message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("  seed: many\n", 6, "training.seed: Input should be a valid integer"),
        ("  seed: 1.5\n", 6, "training.seed: Input should be a valid integer"),
        ("  seed: -1\n", 6, "training.seed: Input should be greater than or equal to 0"),
        ("  betas: [0.8]\n", 6, "training.betas.1 is missing"),
        ("  betas: [1.5, 0.9]\n", 6, "training.betas.0: Input should be less than 1 (given: 1.5)"),
        ("  betas: [0.8, -0.1]\n", 6, "training.betas.1: Input should be greater than or equal"),
        (
            "adversarial: {start_step: 0, period: {periods: [0]}}\n",
            6,
            "adversarial.period.periods.0: Input should be greater than or equal to 1",
        ),
        (
            "adversarial: {start_step: 0, spectrogram: {n_ffts: []}}\n",
            6,
            "adversarial.spectrogram.n_ffts: Tuple should have at least 1 item",
        ),
        ("  precision: half\n", 6, "'float32' or 'bfloat16' (given: 'half')"),
        ("model: 5\n", 6, "model: Input should be a valid dictionary"),
        ("loss: {predicted_pitch: 2}\n", 6, "loss.predicted_pitch: Input should be less than"),
        ("adversarial: {start_step: 0, kind: wgan}\n", 6, "'least_squares', 'hinge'"),
        ("adversarial:\n  kind: hinge\n", 6, "adversarial.start_step is missing"),
        ("5: x\n", 6, "Keys should be strings"),
    ],
)
def test_wrong_types_and_values(write, text: str, line: int, said: str):
    path = write(VALID + text)
    message = refusal(path)
    assert message.startswith(f"{path}, line {line}: "), message
    assert said in message


def test_all_that_is_wrong_is_said_at_once(write):
    message = refusal(write(VALID + "  seed: x\nmodel: {bloks: 1}\n"))
    assert "training.seed" in message
    assert "model.bloks" in message


def test_the_line_is_that_of_the_file_that_says_it(write):
    included = write("training:\n  steps: 5\n  seeds: 1\n", "base.yaml")
    message = refusal(write("include: base.yaml\n" + VALID))
    assert f"{included}, line 3: unknown key training.seeds" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (VALID.replace("manifests: [m.jsonl]", "speeds: [fast]"), "'fast' is no fraction such as"),
        (VALID.replace("[m.jsonl]", "[]"), "data.manifests: "),
        (
            VALID + "loss: {spectral: {n_ffts: [512], n_mels: []}}\n",
            "line 6: loss.spectral: 1 n_ffts and 0 n_mels",
        ),
        (
            VALID + "model: {name: vocos}\nloss: {spectral: {n_ffts: [1024], n_mels: []}}\n",
            "line 7: loss.spectral: 1 n_ffts and 0 n_mels",
        ),
        (VALID.replace("m.jsonl]", "m]\n  segment_frames: 10"), "frames are needed"),
        (
            VALID + "adversarial: {start_step: 0, crop_frames: 4, spectrogram: {n_ffts: [2048]}}\n",
            "the discriminators get 1024 samples",
        ),
        (
            VALID + "adversarial: {start_step: 0, crop_frames: 4, spectrogram: null, "
            "frames: {n_ffts: [512, 2048]}}\n",
            "too few for adversarial.frames.n_ffts 2048",
        ),
    ],
)
def test_combinations_that_would_fail_in_the_first_steps(write, text: str, said: str):
    assert said in refusal(write(text))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("speecht5_16", "line 1: mel: no mel preset 'speecht5_16'; did you mean speecht5_16k?"),
        ("zzz", "valid are speecht5_16k, hifigan_22k"),
        ("{sample_rate: 16000}", "mel.n_fft is missing"),
    ],
)
def test_an_unknown_mel(write, name: str, said: str):
    assert said in refusal(write(VALID.replace("speecht5_16k", name)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training: [1\n", "not valid YAML"),
        ("a: b: c\n", "not valid YAML"),
        ("", "a recipe is a mapping of keys to values"),
        ("- 1\n", "a recipe is a mapping of keys to values"),
        ("just words\n", "a recipe is a mapping of keys to values"),
        ("include: 5\n" + VALID, "include: takes a path or a list of paths"),
        ("include: [1]\n" + VALID, "include: takes a path or a list of paths"),
        (VALID + "training: {steps: 5}\n", "line 6: training is given twice; drop one"),
        (VALID + "  steps: 5\n", "line 6: training.steps is given twice; drop one"),
    ],
)
def test_text_that_is_no_recipe(write, text: str, said: str):
    path = write(text)
    message = refusal(path)
    assert message.startswith(str(path))
    assert said in message


def test_a_file_that_cannot_be_read(write, tmp_path: Path):
    missing = tmp_path / "missing.yaml"
    assert refusal(missing) == f"{missing}: cannot be read, it does not exist; check the path"
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read: a folder, not a regular file"
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"mel: \xff\xfe")
    assert refusal(path).startswith(f"{path}: cannot be read as UTF-8")


def test_a_missing_inclusion_names_both_files(write, tmp_path: Path):
    path = write("include: sub/nowhere.yaml\n" + VALID)
    message = refusal(path)
    assert str(tmp_path / "sub" / "nowhere.yaml") in message
    assert f"included from {path}" in message


def test_a_circle_of_inclusions_is_broken(write, tmp_path: Path):
    write("include: b.yaml\n", "a.yaml")
    write("include: c.yaml\n", "b.yaml")
    path = write("include: [a.yaml]\n", "c.yaml")
    assert f"{path}: includes itself" in refusal(path)
    alone = write("include: alone.yaml\n", "alone.yaml")
    assert "includes itself" in refusal(alone)
    # The same file twice is no circle.
    write("training: {seed: 4}\n", "common.yaml")
    twice = write("include: [common.yaml, common.yaml]\n" + VALID, "twice.yaml")
    assert load_recipe(twice).training.seed == 4


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.steps", "--set training.steps: write it as section.key=value"),
        ("=5", "--set =5: write it as section.key=value"),
        ("training..steps=5", "write it as section.key=value"),
        ("training.steps=[1", "--set training.steps=[1: not valid YAML"),
        ("training.stepz=5", "--set training.stepz=5: unknown key training.stepz; did you mean"),
        ("training.steps=five", "--set training.steps=five: training.steps: Input should be"),
        ("model={bloks: 5}", "--set model={bloks: 5}: unknown key model.bloks; did you mean"),
        ("training={steps: x}", "--set training={steps: x}: training.steps: Input should be"),
        ("mel.n_mels=100", "--set mel.n_mels=100: mel is 'speecht5_16k', not a section"),
    ],
)
def test_a_bad_override_is_named(write, override: str, said: str):
    assert said in refusal(write(VALID), override)


def test_values_in_memory_are_checked_as_well():
    values = {"mel": "speecht5_16k", "data": {"manifests": ["m"]}, "training": {"step": 1}}
    with pytest.raises(RecipeError, match=r"the test: unknown key training\.step; did you mean"):
        parse_recipe(values, "the test")


# -- comparing -----------------------------------------------------------------------------------


def test_recipes_differ_by_the_keys_that_decide_what_is_learned(write):
    path = write(VALID)
    one = load_recipe(path)
    other = load_recipe(path, ["data.batch_size=3", "training.threads=7", "adversarial=null"])
    assert difference(one, other) == ["data.batch_size: 12 there, 3 here"]
    assert difference(one, one) == []
    switched = load_recipe(path, ["adversarial.start_step=1"])
    assert "adversarial.start_step: None there, 1 here" in difference(one, switched)


def test_every_bookkeeping_key_exists():
    recipe = load_recipe(TINY_RECIPE)
    for key in BOOKKEEPING:
        section, name = key.split(".")
        assert hasattr(getattr(recipe, section), name), key
