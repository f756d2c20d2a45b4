"""The recipes under recipes/: they say what they are for, hang together, and run."""

import re
from pathlib import Path

import pytest
import yaml

from tests.training.tiny import MANIFEST, ROOT, quiet
from vocoder.errors import RecipeError
from vocoder.evaluation.folders import evaluate_folders
from vocoder.evaluation.resynthesis import resynthesise_files
from vocoder.loading import load
from vocoder.training.recipe import Recipe, dump_recipe, load_recipe
from vocoder.training.run import train
from vocoder.training.trainer import Trainer

pytest_plugins = ["tests.training.fixtures"]

RECIPES = sorted(
    name
    for path in (ROOT / "recipes").rglob("*.yaml")
    if not (name := path.relative_to(ROOT / "recipes").as_posix()).startswith("base/")
)


def test_all_corpora_have_their_recipe():
    assert {
        "source_filter/multispeaker.yaml",
        "source_filter/festvox_ru.yaml",
        "source_filter/ljspeech.yaml",
        "source_filter/vctk.yaml",
        "source_filter/libritts.yaml",
        "source_filter/tiny.yaml",
    } <= set(RECIPES)


def test_a_shipped_recipe_reads_back_from_its_resolved_text(tmp_path: Path):
    for name in RECIPES:
        recipe = load_recipe(ROOT / "recipes" / name)
        text = dump_recipe(recipe)
        (tmp_path / "resolved.yaml").write_text(text)
        assert load_recipe(tmp_path / "resolved.yaml") == recipe, name
        # Resolved: every key is given, and none is left to a default.
        assert flat(yaml.safe_load(text)) == flat(recipe.model_dump(mode="json")), name
        assert "include" not in yaml.safe_load(text), name


def flat(values: object, prefix: str = "") -> set[str]:
    if not isinstance(values, dict):
        return {prefix}
    return {key for name, value in values.items() for key in flat(value, f"{prefix}.{name}")}


def test_a_shipped_recipe_says_what_it_is_for():
    silent = [n for n in RECIPES if not re.match(r"# \w", (ROOT / "recipes" / n).read_text())]
    assert silent == []


def test_segments_hold_the_windows_at_every_mel_that_is_drawn():
    with pytest.raises(RecipeError, match=r"of mel \w+, fewer than .* at least (\d+)") as caught:
        load_recipe(ROOT / "recipes/source_filter/universal.yaml", ["data.segment_frames=20"])
    (least,) = re.findall(r"at least (\d+)", str(caught.value))
    overrides = ["data.mels.presets=[speecht5_16k]", f"data.segment_frames={least}"]
    load_recipe(ROOT / "recipes/source_filter/universal.yaml", overrides)


@pytest.mark.parametrize(
    ("name", "key", "windows"),
    [
        ("vocos", "loss.spectral.n_ffts", "loss.spectral={n_ffts: [2048], n_mels: [80]}"),
        ("parallel_wavenet", "loss.n_ffts", "loss.n_ffts=[512, 2048]"),
        ("nsf", "loss.spectral.resolutions", "loss.spectral.resolutions=[[2048, 512, 128]]"),
        ("ddsp", "loss.spectral.n_ffts", "loss.spectral.n_ffts=[512, 2048]"),
    ],
)
def test_segments_hold_the_windows_of_every_objective(name: str, key: str, windows: str):
    path, overrides = ROOT / "recipes/baselines" / f"{name}.yaml", [windows, "adversarial=null"]
    said = rf"longest window of {re.escape(key)} \(2048\): at least 8 frames are needed"
    with pytest.raises(RecipeError, match=said):
        load_recipe(path, [*overrides, "data.segment_frames=7"])
    load_recipe(path, [*overrides, "data.segment_frames=8"])


@pytest.mark.parametrize("name", ["source_filter/universal", "baselines/nsf", "baselines/ddsp"])
def test_the_pitch_classes_cover_the_range_of_the_recordings(name: str):
    path = ROOT / "recipes" / f"{name}.yaml"
    both = r"model\.pitch .* do not cover pitch, .* pitch\.f0_min_hz and f0_max_hz"
    for override in ("model.pitch.f0_max_hz=200", "model.pitch.f0_min_hz=61", "pitch.f0_min_hz=50"):
        with pytest.raises(RecipeError, match=both):
            load_recipe(path, [override])
    recipe = load_recipe(path, ["model.pitch.f0_max_hz=200", "pitch.f0_max_hz=200"])
    assert recipe.pitch.f0_max_hz == 200


def test_the_range_of_the_pitch_is_free_where_no_model_predicts_it():
    load_recipe(ROOT / "recipes/baselines/vocos.yaml", ["pitch.f0_max_hz=900"])


def test_mels_are_drawn_for_universal_models_only(tmp_path: Path, fresh_accelerator: None):
    overrides = [f"data.manifests=[{MANIFEST}]", "data.held_out=[]", "model.universal=false"]
    recipe = load_recipe(ROOT / "recipes/source_filter/universal.yaml", overrides)
    with pytest.raises(RecipeError, match=r"data\.mels: source_filter serves its own mel only"):
        train(recipe, tmp_path / "run", quiet())
    assert not (tmp_path / "run").exists()


def reduced(name: str) -> Recipe:
    """A shipped recipe with small networks, batches and the tiny corpus."""
    overrides = [
        f"data.manifests=[{MANIFEST}]",
        "data.batch_size=2",
        "data.segment_frames=17",
        "model.channels=16",
        "model.blocks=1",
        "model.pitch={channels: 16, layers: 2}",
        "training.steps=2",
        "training.save_every=1",
        "training.validate_every=2",
        "training.threads=1",
        "training.log_every=1",
    ]
    shipped = load_recipe(ROOT / "recipes" / name)
    if shipped.data.mels is not None:
        overrides += ["data.segment_frames=40", "data.held_out=[]"]
    if shipped.initialise_from is not None:
        overrides += ["initialise_from=null"]  # larger networks
    if (adversarial := shipped.adversarial) is not None:
        overrides += ["adversarial.start_step=1", "adversarial.crop_frames=9"]
        small = {"spectrogram": 4, "period": 2, "frames": 8}
        overrides += [
            f"adversarial.{kind}.channels={channels}"
            for kind, channels in small.items()
            if getattr(adversarial, kind) is not None
        ]
    return load_recipe(ROOT / "recipes" / name, overrides)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    # finetune_on_mels wants mel files: see test_finetune_on_mels.py.
    [n for n in RECIPES if n.startswith("source_filter") and not n.endswith("_on_mels.yaml")],
)
def test_a_shipped_recipe_runs_end_to_end(
    name: str, tmp_path: Path, fresh_accelerator: None, monkeypatch: pytest.MonkeyPatch
):
    """Two steps with a stop between them, resynthesis and scores."""
    recipe, run = reduced(name), tmp_path / "run"
    save = Trainer.save

    def save_and_stop(trainer: Trainer, scores: dict[str, float]) -> None:
        save(trainer, scores)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run, quiet())
    monkeypatch.setattr(Trainer, "save", save)
    scores = train(recipe, run, quiet())
    assert 1 <= scores["pesq_wb"] < 4.65
    rows = [yaml.safe_load(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1]
    assert ("adversarial" in rows[1]) == (recipe.adversarial is not None)

    model = load(run)
    assert model.spec == recipe.mel
    recording = MANIFEST.parent / "wavs" / "test" / "ru_followme_sorry.wav"
    (result,) = resynthesise_files(model, {recording: tmp_path / "ours" / recording.name})
    assert result.error == ""
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / recording.name).symlink_to(recording)
    summary = evaluate_folders(
        tmp_path / "reference",
        {"ours": tmp_path / "ours"},
        tmp_path / "scores",
        ["pesq", "mel_distance"],
        jobs=1,
        progress=False,
    )
    assert summary.failures == 0
    # Two steps from scratch, and yet it resembles the recording: the filters start at the mel.
    assert summary.systems["ours"].scores["mel_distance"].mean < 1.5
