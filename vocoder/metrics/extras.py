"""Optional packages: what is missing is said before a metric starts, with a way out."""

import importlib.util
from collections.abc import Sequence

from vocoder.errors import VocoderError


def require_packages(metric: str, packages: Sequence[str], extra: str = "evaluate") -> None:
    """Raise a VocoderError that names the extra, unless all packages can be found.

    Args:
        metric: what needs them, as the message begins.
        packages: top-level import names; they are looked for, not imported.
        extra: of this package, that installs them.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise VocoderError(
                f"{metric} needs the package {package}: pip install 'vocoder[{extra}]'"
            )
