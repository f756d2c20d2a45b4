"""Optional packages: an error that names the extra, raised before the work starts."""

import importlib.util
from collections.abc import Sequence

from vocoder.errors import VocoderError


def require_packages(what: str, packages: Sequence[str], extra: str = "evaluate") -> None:
    """Raise a VocoderError that names the extra, unless all packages can be found.

    Args:
        what: what needs them, with which the message begins.
        packages: top-level import names; they are searched for, not imported.
        extra: the extra of this package that installs them.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise VocoderError(
                f"{what} needs the package {package}: pip install 'vocoder[{extra}]'"
            )
