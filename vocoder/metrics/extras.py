"""Optional packages: an error that names the extra, raised before a metric starts."""

import importlib.util
from collections.abc import Sequence

from vocoder.errors import VocoderError


def require_packages(metric: str, packages: Sequence[str], extra: str = "evaluate") -> None:
    """Raise a VocoderError that names the extra, unless all packages can be found.

    Args:
        metric: name of the metric, with which the message begins.
        packages: top-level import names; they are searched for, not imported.
        extra: the extra of this package that installs them.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise VocoderError(
                f"{metric} needs the package {package}: pip install 'vocoder[{extra}]'"
            )
