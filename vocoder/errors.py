"""Errors that a user can fix, and warnings: one line that says what is wrong, where, what to do."""

import difflib
import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

MOST_CHARACTERS = 2000
"""Longest message: a name or value that it quotes may have any length."""


class VocoderError(Exception):
    """Base class; the command line prints the message of these without a traceback.

    The message is one line that every file and stream takes, see `printable`; from the middle of a
    very long one a part is left out.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(printable(message), MOST_CHARACTERS))


class VocoderWarning(UserWarning):
    """Base class; the command line prints these in one line."""


def printable(name: str) -> str:
    r"""A file's name as text of one line: bytes that are not UTF-8 and control characters, which
    could rule a terminal, become escapes.

    >>> print(printable("caf\udce9\n"))
    caf\udce9\n
    """
    text = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def shortened(text: str, most: int) -> str:
    r"""The text, or its beginning and end where it has more than ``most`` characters.

    >>> shortened("from here to there", 13)
    'from h…there'
    """
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[1 - half :]}"


def one_line(error: Exception) -> str:
    r"""The text of a foreign error, its line breaks and runs of blanks as single blanks.

    >>> one_line(ValueError("expected\n   a number"))
    'expected a number'
    """
    return " ".join(str(error).split())


class AudioError(VocoderError):
    """An audio file or waveform that cannot be used."""


class MelError(VocoderError):
    """A mel spectrogram or its description that does not fit."""


class PitchError(VocoderError):
    """An F0 or voicing track that cannot be used."""


class OptionError(VocoderError, ValueError):
    """An argument of synthesis that is out of range, or that the vocoder cannot follow."""


class RecipeError(VocoderError):
    """A recipe with an unknown key, a wrong type or an impossible combination."""


class CheckpointError(VocoderError):
    """A checkpoint that is missing, corrupt or does not belong to the recipe."""


class CorpusError(VocoderError):
    """A corpus that cannot be fetched, verified or laid out."""


class OutputError(VocoderError):
    """A file or folder that cannot be written."""


class TrainingError(VocoderError):
    """A training run that must stop, for example because the loss is not finite."""


def suggestion(name: str, valid: Sequence[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one, or all of them.

    >>> suggestion("pesk", ["pesq", "stoi"])
    '; did you mean pesq?'
    """
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; valid are {', '.join(valid)}" if valid else ""
