"""Shared by all commands: plain output, progress bars, one-line errors, NAME=VALUE arguments."""

import io
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup

from vocoder.errors import VocoderError, VocoderWarning

error_console = Console(stderr=True)


class ErrorReporter(TyperGroup):
    """A command group that prints a user error as one line and exits with status 1.

    An interrupt (Ctrl-C) ends with one line and status 130. Characters that a stream cannot show
    are escaped.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _in_one_line(warnings.showwarning)
                return super().invoke(ctx)
        except BrokenPipeError:  # the reader closed the pipe: typer exits quietly
            raise
        except (VocoderError, OSError) as error:  # an OSError names its file
            raise _reported(str(error)) from error
        except MemoryError as error:
            raise _reported("not enough memory for this input; make it shorter") from error
        except KeyboardInterrupt as error:
            say(error_console, "interrupted")
            raise typer.Exit(130) from error
        except RuntimeError as error:  # of torch
            if "allocate memory" not in str(error):
                raise
            raise _reported("not enough memory for this input; make it shorter") from error


def _in_one_line(show: Callable[..., None]) -> Callable[..., None]:
    """Our own warnings in one line; those of libraries as ``show`` has it."""

    def show_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, VocoderWarning):
            say(error_console, f"warning: {' '.join(str(message).split())}")
        else:
            show(message, category, *where)

    return show_warning


def _reported(reason: str) -> typer.Exit:
    say(error_console, f"error: {' '.join(reason.splitlines())}")
    return typer.Exit(1)


def say(console: Console, text: str) -> None:
    """Print text unchanged: no markup, no colours, no terminal line wrapping."""
    console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def progress_bar() -> Progress:
    """A progress bar on standard error: items done, total and time remaining."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console,
    )


def parse_named(entries: list[str], option: str, what: str) -> dict[str, str]:
    """Values of NAME=VALUE arguments by name.

    Args:
        entries: the arguments.
        option: name of the option, for error messages.
        what: placeholder for the value in error messages, such as FOLDER.

    Raises:
        VocoderError: an argument without a name or a value, or a name given twice.
    """
    named: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not (name and equals and value):
            raise VocoderError(f"{option} {entry}: write it as NAME={what}")
        if name in named:
            raise VocoderError(f"{option} {entry}: {name} stands there twice; use each name once")
        named[name] = value
    return named
