"""Paths as displayed in the page, without the folders of the local machine."""

import os.path
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

_ABSOLUTE = re.compile(r"""(?<![^\s"'`(\[{<=,:;])/(?:[^\s/"'`:,;()<>]+/)+[^\s/"'`:,;()<>]*""")
"""An absolute path of two components or more, after a blank, a bracket, a quote or a separator."""


class ShownPaths:
    """Shortens absolute paths.

    A path below the current folder becomes relative to it; other absolute paths become "…/" and the
    last component. Relative paths are unchanged.

    Args:
        folders: paths, possibly with blanks, that messages are likely to contain.
        current: the current folder, absolute.
    """

    def __init__(self, folders: Iterable[str] = (), current: Path | None = None) -> None:
        self.current = (Path.cwd() if current is None else current).as_posix()
        spellings = {
            spelling
            for folder in folders
            for spelling in (folder, os.path.normpath(folder), Path(folder).resolve().as_posix())
        }
        # The longest first, as folders may be nested.
        self.folders = sorted(filter(os.path.isabs, spellings), key=len, reverse=True)

    def path(self, path: str) -> str:
        """One path.

        >>> shown = ShownPaths(current=Path("/srv/ann/work"))
        >>> [shown.path(p) for p in ("/srv/ann/work/out/a", "/data/speech/test", "../b")]
        ['out/a', '…/test', '../b']
        """
        if not os.path.isabs(path):
            return path
        plain = Path(os.path.normpath(path)).as_posix()
        if plain == self.current:
            return "."
        if self.current != "/" and plain.startswith(self.current + "/"):
            return plain.removeprefix(self.current + "/")
        return f"…/{Path(plain).name}"

    def text(self, text: str) -> str:
        """A message with any number of paths.

        >>> shown = ShownPaths(["/data/my speech"], Path("/srv/ann"))
        >>> shown.text("/data/my speech/a.wav: unlike /srv/ann/b.wav, and/or /usr/c.wav")
        '…/my speech/a.wav: unlike b.wav, and/or …/c.wav'
        """
        for folder in self.folders:
            whole = rf"(?<![\w.~/-]){re.escape(folder.rstrip('/'))}(?![\w-])"
            text = re.sub(whole, lambda found: self.path(found[0]), text)
        return _ABSOLUTE.sub(lambda found: self.path(found[0]), text)

    def command(self, command: str) -> str:
        """A command line; the value of NAME=VALUE is treated as a path.

        >>> shown = ShownPaths(current=Path("/srv/ann"))
        >>> shown.command("vocoder evaluate --system 'a=/data/my speech' --output /srv/ann/o")
        "vocoder evaluate --system 'a=…/my speech' --output o"
        """
        try:
            arguments = shlex.split(command)
        except ValueError:
            return self.text(command)
        return " ".join(_quoted(self._argument(argument)) for argument in arguments)

    def _argument(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        shown = self.path(argument) if not equals or os.path.isabs(argument) else (
            f"{name}={self.path(value)}"
        )  # fmt: skip
        return self.text(shown)


def _quoted(argument: str) -> str:
    """As `shlex.quote`, but ellipses are not quoted."""
    plain = argument.replace("…", ".")
    return argument if shlex.quote(plain) == plain else shlex.quote(argument)
