"""Loading vocoders by name or from a checkpoint."""

from pathlib import Path
from typing import cast

from jaxtyping import Float
from torch import Tensor

from vocoder.errors import CheckpointError, RecipeError
from vocoder.features.mel import PRESETS
from vocoder.models.base import Vocoder
from vocoder.models.classical import GriffinLim
from vocoder.recipes import load_recipe
from vocoder.training.checkpoint import (
    METADATA,
    MODEL,
    RECIPE,
    latest_checkpoint,
    load_weights,
    read_metadata,
    read_tensors,
    save_checkpoint,
)

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = {"source_filter_16k": WEIGHTS / "source_filter_16k"}
"""Weights inside the package, by name; the first is the default."""
GRIFFIN_LIM = "griffin_lim"


def load(model: str | Path = "default") -> Vocoder:
    """A vocoder ready for use, on the CPU.

    Args:
        model: "default", another name from :data:`SHIPPED`, "griffin_lim" (32 iterations, on the
            default model's mel), or a folder: a checkpoint, or a training run, whose newest
            checkpoint is taken.

    Raises:
        CheckpointError: no such name or folder, or a checkpoint that is corrupt, pickled, or does
            not fit its own recipe.

    >>> load().sample_rate
    16000
    """
    if model == GRIFFIN_LIM:
        return GriffinLim(PRESETS["speecht5_16k"]).eval()
    folder = find_checkpoint(model)
    try:
        recipe = load_recipe(folder / RECIPE)
    except RecipeError as error:
        raise CheckpointError(f"not a complete checkpoint: {error}") from error
    vocoder = recipe.build_model()
    load_weights(vocoder, folder / MODEL)
    fingerprint = read_metadata(folder)["mel_fingerprint"]
    if fingerprint != vocoder.spec.fingerprint:
        raise CheckpointError(
            f"{folder}: the weights were trained on mel {fingerprint}, its {RECIPE} describes "
            f"{vocoder.spec.fingerprint}; one of the two files is from another checkpoint"
        )
    return vocoder.eval().requires_grad_(False)


class Loaded:
    """A model by its name, as a function from mel to waveform that another process loads anew.

    Modules with weight norm cannot be sent to other processes as they are.
    """

    def __init__(self, model: str | Path) -> None:
        self.model, self.vocoder = model, load(model)

    def __reduce__(self) -> tuple[type["Loaded"], tuple[str | Path]]:
        return Loaded, (self.model,)

    def __call__(self, mel: Float[Tensor, "batch n_mels frames"]) -> Tensor:
        return cast(Tensor, self.vocoder(mel))


def find_checkpoint(model: str | Path) -> Path:
    """The checkpoint folder that a name, a checkpoint or a training run means."""
    if model == "default":
        return next(iter(SHIPPED.values()))
    if str(model) in SHIPPED:
        return SHIPPED[str(model)]
    folder = Path(model)
    if (folder / MODEL).is_file():
        return folder
    newest = latest_checkpoint(folder / "checkpoints")
    if newest is not None:
        return newest
    names = ", ".join(["default", *SHIPPED, GRIFFIN_LIM])
    raise CheckpointError(
        f"{model}: neither a model's name ({names}) nor a folder with {MODEL} or a training run"
    )


def publish(model: str | Path, output: Path) -> Path:
    """Copy a checkpoint's weights, recipe and metadata, without what only training needs.

    Weights are stored as float16, which halves the file; they are used as float32 again.
    Gives the checkpoint that was copied.

    Raises:
        CheckpointError: it cannot be read, or ``output`` is a folder of something else.
    """
    folder = find_checkpoint(model)
    if output.exists() and {path.name for path in output.iterdir()} - {MODEL, RECIPE, METADATA}:
        raise CheckpointError(
            f"{output}: holds other files, which would be lost; name a new folder"
        )
    weights = {name: tensor.half() for name, tensor in read_tensors(folder / MODEL).items()}
    save_checkpoint(output, weights, (folder / RECIPE).read_text("utf-8"), read_metadata(folder))
    return folder
