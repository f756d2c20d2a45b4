"""Recipes: YAML files with inclusion and overrides, checked against the typed configurations.

A recipe may begin with ``include:``, a path or a list of paths relative to its own file; later
files and the recipe itself override what they include, key by key. Everything a run uses stands in
the resolved recipe.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from vocoder.config import Config
from vocoder.data.mel_draws import frames_at
from vocoder.data.segments import DataConfig
from vocoder.errors import RecipeError, suggestion
from vocoder.features.mel import named_mel
from vocoder.features.pitch import PitchConfig
from vocoder.models.base import Vocoder
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.models.outside import OutsideModelError, is_outside
from vocoder.models.registry import (
    MODELS,
    ModelConfig,
    ModelDescription,
    NamedMel,
    check_sizes,
    config_class,
    refused_name,
)
from vocoder.reading import parse_yaml, read_text
from vocoder.training.objectives.adversarial import AdversarialConfig
from vocoder.training.objectives.base import Objective
from vocoder.training.objectives.registry import (
    OBJECTIVES,
    LossConfig,
    ObjectiveEntry,
    objective_of,
)
from vocoder.training.schedule import TrainingConfig

BOOKKEEPING = {
    "training.threads",
    "training.log_every",
    "training.validate_every",
    "training.validate_utterances",
    "training.save_every",
    "training.keep_checkpoints",
}
"""Keys that may change when a run is resumed: they do not decide what it learns."""

EXTENDABLE = {"training.steps", "training.budget_minutes"}
"""Keys that may grow when a run is resumed: it goes on from where it is, and the learning rate
follows the longer cosine from there."""


MOST_INCLUDES = 64
"""Most files that a recipe consists of."""

MOST_BATCH_SAMPLES = 2**28
"""Most samples of one step's batch, 3 hours at 24 kHz."""


class Recipe(Config):
    """All that decides a training run.

    ``pitch`` is the range of F0 that Praat searches in the recordings; the F0 classes of a model
    that predicts pitch, ``model.pitch``, must cover it. Playback speeds (``data.speeds``) may move
    F0 beyond the classes; the target is then the lowest or the highest class.
    """

    mel: NamedMel
    model: ModelConfig
    pitch: PitchConfig = PitchConfig()
    data: DataConfig
    loss: LossConfig
    adversarial: AdversarialConfig | None = None
    training: TrainingConfig
    initialise_from: str | None = Field(
        default=None, description="model, checkpoint or run whose weights the run starts from"
    )

    @model_validator(mode="before")
    @classmethod
    def _name_model_and_objective(cls, values: Any) -> Any:
        """The source-filter vocoder where no other is named, and the model's own objective."""
        if not isinstance(values, dict):
            return values
        model, loss = values.get("model", {}), values.get("loss", {})
        if isinstance(model, dict):
            model = {"name": "source_filter", **model}
            values = {**values, "model": model}
            name = model["name"]
            if isinstance(name, str) and (name in MODELS or is_outside(name)):
                try:
                    objective = objective_of(name).name
                except OutsideModelError as error:
                    raise refused_name(name, error, "model") from error
                if isinstance(loss, dict):
                    values["loss"] = {"objective": objective, **loss}
        return values

    @model_validator(mode="after")
    def _objective_fits(self) -> Self:
        """Each model is trained for its own, and discriminators take waveforms."""
        wanted = self.objective
        if not isinstance(self.loss, wanted.config):
            raise ValueError(
                f"loss.objective: model {self.model.name} is trained for {wanted.name!r}, not "
                f"{self.loss.objective!r}"
            )
        if self.adversarial is not None and not wanted.objective.gives_waveforms:
            raise ValueError(
                f"adversarial: the objective {self.loss.objective} gives no waveforms; "
                "write adversarial: null"
            )
        return self

    @model_validator(mode="after")
    def _batches_fit_into_memory(self) -> Self:
        samples = self.data.batch_size * self.data.segment_frames * self.mel.hop_length
        if samples > MOST_BATCH_SAMPLES:
            raise ValueError(
                f"data.batch_size x data.segment_frames x mel.hop_length are {samples} samples, "
                f"more than {MOST_BATCH_SAMPLES}: take less of one"
            )
        if self.adversarial is not None:
            check_sizes(self.adversarial.model_dump(exclude={"start_step"}), "adversarial")
        return self

    @model_validator(mode="after")
    def _segments_hold_the_windows(self) -> Self:
        """What would otherwise fail in the first step, or in the first adversarial one."""
        longest = self.loss.longest_window
        drawn = () if self.data.mels is None else self.data.mels.presets
        for name, spec in (("", self.mel), *((name, named_mel(name)) for name in drawn)):
            hop, edges = spec.hop_length, 2 * self.loss.edge_frames(spec)
            frames = frames_at(spec, self.mel, self.data.segment_frames)
            scored = (frames - edges) * hop
            if scored < longest:
                least = frames_at(self.mel, spec, -(-longest // hop) + edges)
                raise ValueError(
                    f"data.segment_frames {self.data.segment_frames} leaves {scored} samples to "
                    f"score{name and f' of mel {name}'}, fewer than the longest window of "
                    f"{self.loss.windows_key} ({longest}): at least {least} frames are needed"
                )
        hop = self.mel.hop_length
        scored = (self.data.segment_frames - 2 * self.loss.edge_frames(self.mel)) * hop
        if self.adversarial is not None:
            cropped = min(self.adversarial.crop_frames * hop, scored)
            for name in ("spectrogram", "frames"):
                section = getattr(self.adversarial, name)
                longest = 0 if section is None else max(section.n_ffts)
                if cropped <= longest // 2:
                    raise ValueError(
                        f"the discriminators get {cropped} samples (adversarial.crop_frames, "
                        f"data.segment_frames), too few for adversarial.{name}.n_ffts {longest}"
                    )
        return self

    @model_validator(mode="after")
    def _classes_cover_the_pitch(self) -> Self:
        """F0 outside the classes would be taught as the nearest one."""
        classes = getattr(self.model, "pitch", None)
        if not isinstance(classes, PitchPredictorConfig):
            return self
        searched = self.pitch
        if classes.f0_min_hz > searched.f0_min_hz or classes.f0_max_hz < searched.f0_max_hz:
            raise ValueError(
                f"model.pitch has F0 classes from {classes.f0_min_hz:g} to {classes.f0_max_hz:g} "
                f"Hz, which do not cover pitch, {searched.f0_min_hz:g} to {searched.f0_max_hz:g} "
                "Hz: set model.pitch.f0_min_hz and f0_max_hz to at least the range of "
                "pitch.f0_min_hz and f0_max_hz"
            )
        return self

    @property
    def objective(self) -> ObjectiveEntry:
        """The row of the table of objectives that the model's name picks."""
        return objective_of(self.model.name)

    @property
    def description(self) -> ModelDescription:
        """The part that use needs: the model and its mel."""
        return ModelDescription(mel=self.mel, model=self.model)

    def build_model(self) -> Vocoder:
        """The model with fresh weights, from PyTorch's current random state."""
        return self.description.build()

    def build_objective(self, model: Vocoder, teacher: Vocoder | None = None) -> Objective:
        """What the model is trained for; a student needs its teacher, :attr:`teacher`."""
        objective: Any = self.objective.objective
        given = () if teacher is None else (teacher,)
        return objective(model, self.loss, *given)

    @property
    def teacher(self) -> str | None:
        """Model, checkpoint or run that a student is distilled from."""
        return getattr(self.loss, "teacher", None)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, include, override and check a recipe.

    Args:
        overrides: "a.b=value" with a YAML value, applied last.

    Raises:
        RecipeError: unreadable YAML, an unknown key (with the nearest valid one), a wrong type, an
            inclusion that is missing or circular; the message names the file and the key.
    """
    path = Path(path)
    origins: dict[tuple[str, ...], str] = {}
    values = _read(path, origins, (), [])
    for override in overrides:
        _apply_override(values, override, origins)
    return parse_recipe(values, str(path), origins)


def parse_recipe(
    values: dict[str, Any], source: str, origins: dict[tuple[str, ...], str] | None = None
) -> Recipe:
    """Check the values of a recipe; ``origins`` says which file and line each key came from."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_explain(error, values, source, origins or {})) from error


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML; :func:`load_recipe` reads it back to an equal one."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, width=100)


def difference(old: Recipe, new: Recipe) -> list[str]:
    """One line for each key in which two recipes differ, but for bookkeeping and longer runs."""
    before, after = (_flatten(recipe.model_dump(mode="json")) for recipe in (old, new))
    return [
        f"{key}: {before.get(key)} there, {after.get(key)} here"
        for key in [*before, *(after.keys() - before)]
        if before.get(key) != after.get(key)
        and key not in BOOKKEEPING
        and not (key in EXTENDABLE and _is_longer(before.get(key), after.get(key)))
    ]


def _is_longer(before: object, after: object) -> bool:
    return isinstance(before, int | float) and isinstance(after, int | float) and after > before


def _read(
    path: Path,
    origins: dict[tuple[str, ...], str],
    including: tuple[Path, ...],
    read: list[Path],
) -> dict[str, Any]:
    """The values of a file and of what it includes; ``read`` collects the files."""
    try:
        text = read_text(path, RecipeError)
    except RecipeError as error:
        hint = f", included from {including[-1]}" if including else ""
        raise RecipeError(f"{error}{hint}") from error
    resolved = Path(os.path.realpath(path))
    if resolved in including:
        raise RecipeError(f"{path}: includes itself; break the circle of include:")
    read.append(resolved)
    if len(read) > MOST_INCLUDES:
        raise RecipeError(f"{path}: the {MOST_INCLUDES}th file included; include fewer")
    values, node = parse_yaml(text, str(path), RecipeError)
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys to values")
    includes = values.pop("include", [])
    includes = [includes] if isinstance(includes, str) else includes
    if not isinstance(includes, list) or not all(isinstance(name, str) for name in includes):
        raise RecipeError(f"{path}: include: takes a path or a list of paths")
    merged: dict[str, Any] = {}
    for include in includes:
        _merge(merged, _read(path.parent / include, origins, (*including, resolved), read))
    _note_origins(node, str(path), origins)
    return _merge(merged, values)


def _merge(base: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
    return base


def _note_origins(
    node: Any, path: str, origins: dict[tuple[str, ...], str], prefix: tuple[str, ...] = ()
) -> None:
    """Remember file and line of every key of a YAML mapping; refuse a key given twice."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = (*prefix, str(key.value))
            origins[name] = f"{path}, line {key.start_mark.line + 1}"
            if name[-1] in seen:
                raise RecipeError(f"{origins[name]}: {'.'.join(name)} is given twice; drop one")
            seen.add(name[-1])
            _note_origins(value, path, origins, name)


def _apply_override(
    values: dict[str, Any], override: str, origins: dict[tuple[str, ...], str]
) -> None:
    dotted, equals, text = override.partition("=")
    keys = tuple(dotted.split("."))
    if not equals or not all(keys):
        raise RecipeError(f"--set {override}: write it as section.key=value")
    value, _ = parse_yaml(text, f"--set {override}", RecipeError)
    place = values
    for depth, key in enumerate(keys[:-1], 1):
        if place.get(key) is None:
            place[key] = {}
        if not isinstance(place[key], dict):
            section = ".".join(keys[:depth])
            raise RecipeError(
                f"--set {override}: {section} is {_short(place[key])}, not a section; set all of "
                f"it by --set '{section}={{key: value, …}}'"
            )
        place = place[key]
    place[keys[-1]] = value
    for name in [name for name in origins if name[: len(keys)] == keys]:
        del origins[name]
    origins[keys] = f"--set {override}"


def _explain(
    error: ValidationError,
    values: dict[str, Any],
    source: str,
    origins: dict[tuple[str, ...], str],
) -> str:
    """One line for all that is wrong: where it stands, what it is, and what would be right."""
    parts = []
    outside = _outside_model(values)
    for problem in error.errors():
        location = tuple(str(key) for key in problem["loc"])
        tag = location[1] if location[:1] in (("model",), ("loss",)) and len(location) > 1 else None
        if location[:1] == ("model",) and outside is not None:
            tag = outside
        elif tag is not None and tag in {*MODELS, *_objectives()}:
            # A union's member stands in the location like a key.
            location = (location[0], *location[2:])
        where = next(
            (origins[location[:n]] for n in range(len(location), 0, -1) if location[:n] in origins),
            source,
        )
        name = ".".join(location)
        if problem["type"] == "extra_forbidden":
            parts.append(
                f"{where}: unknown key {name}{suggestion(location[-1], _keys(location[:-1], tag))}"
            )
        elif problem["type"] == "missing":
            parts.append(f"{where}: {name} is missing")
        elif problem["type"] == "union_tag_invalid":
            key, given = problem["ctx"]["discriminator"].strip("'"), problem["ctx"]["tag"]
            valid = list(MODELS) if location == ("model",) else _objectives()
            parts.append(f"{where}: {name}.{key}: no {given!r}{suggestion(given, valid)}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            given = problem.get("input")
            shown = f" (given: {_short(given)})" if isinstance(given, str | int | float) else ""
            named = f"{name}: " if name else ""
            parts.append(f"{where}: {named}{message}{shown}")
    return "; ".join(parts)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not write numbers of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _outside_model(values: dict[str, Any]) -> str | None:
    """The name of the model where it is one outside the package."""
    model = values.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    return name if isinstance(name, str) and is_outside(name) else None


def _objectives() -> list[str]:
    return [row.name for row in OBJECTIVES.values()]


def _keys(location: Sequence[str], tag: str | None) -> list[str]:
    """Valid keys of the section at a location; ``tag``: name of the model or objective there."""
    section: type[BaseModel] = Recipe
    if location[:1] == ("model",) and tag is not None:
        section, location = config_class(tag), location[1:]
    for key in location:
        field = section.model_fields.get(key)
        if field is None:
            return []
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if section is Recipe and key == "loss":
            models = [m for m in models if tag in (f.default for f in m.model_fields.values())]
        if not models:
            return []
        section = models[0]
    return list(section.model_fields)


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
