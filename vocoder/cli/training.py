"""``vocoder train``, ``publish`` and ``convert``: training and checkpoints."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vocoder.cli.console import say


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as those under recipes/.")],
    output: Annotated[Path, typer.Option(help="Folder of the run.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key: section.key=value.")
    ] = None,
) -> None:
    """Train a model; the same command again resumes from the last checkpoint."""
    from vocoder.training.processes import is_main_process, start_processes

    start_processes()
    from vocoder.training.recipe import dump_recipe, load_recipe
    from vocoder.training.run import train as train_recipe

    resolved = load_recipe(recipe, overrides or [])
    console = Console()
    if is_main_process():
        say(console, dump_recipe(resolved))
    train_recipe(resolved, output, console)


def publish(
    model: Annotated[str, typer.Argument(help="A checkpoint folder or a training run.")],
    output: Annotated[Path, typer.Option(help="Folder for weights, recipe and metadata.")],
    mean_with: Annotated[
        list[str] | None,
        typer.Option(help="Another checkpoint of the same model: the mean of both is written."),
    ] = None,
    part: Annotated[
        str, typer.Option(help="Submodule whose weights are averaged, instead of all.")
    ] = "",
) -> None:
    """Copy a checkpoint for publication: weights as float16, no training state."""
    from vocoder.training.checkpoint import publish_checkpoint

    folder = publish_checkpoint(model, output, mean_with or (), part)
    say(Console(), f"{folder} → {output}")


def convert(
    folders: Annotated[list[Path], typer.Argument(help="Checkpoint folders of older versions.")],
) -> None:
    """Write the model.yaml that loading needs beside the recipe.yaml of older checkpoints."""
    from vocoder.training.checkpoint import convert_checkpoint

    console = Console()
    for folder in folders:
        say(console, str(convert_checkpoint(folder)))
