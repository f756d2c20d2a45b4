"""The ``vocoder`` program: all commands, in the order in which the help lists them."""

import typer

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
    help="Source-filter vocoders: mel spectrograms in, speech out.",
)
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
