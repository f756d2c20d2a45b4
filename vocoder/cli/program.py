"""The ``vocoder`` program: all commands, in the order in which the help lists them."""

from typing import Annotated

import typer

from vocoder import __version__
from vocoder.cli.console import ErrorReporter
from vocoder.cli.corpora import prepare
from vocoder.cli.evaluation import evaluate
from vocoder.cli.export import export
from vocoder.cli.inspection import bench, info
from vocoder.cli.listening import listening_test
from vocoder.cli.report import report
from vocoder.cli.synthesis import demo, resynth, synth
from vocoder.cli.training import convert, publish, train

app = typer.Typer(
    cls=ErrorReporter,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Source-filter vocoders: mel spectrograms in, speech out."""


for command in (
    prepare,
    train,
    synth,
    resynth,
    evaluate,
    report,
    bench,
    info,
    export,
    publish,
    convert,
    demo,
):
    app.command()(command)
app.add_typer(listening_test, name="listening-test")
