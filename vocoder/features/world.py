"""The package pyworld, of the extras `classical` and `evaluate`: nothing else imports it."""

import warnings
from types import ModuleType

from vocoder.extras import require_packages


def require_world(what: str = "a WORLD analysis", extra: str = "evaluate") -> None:
    """Raise a VocoderError that names the extra, unless pyworld and what it imports are there.

    Args:
        what: what needs them, as the message begins.
        extra: of this package, that installs them.
    """
    require_packages(what, ("pyworld", "pkg_resources"), extra)


def pyworld() -> ModuleType:
    """The package itself; :func:`require_world` comes first."""
    with warnings.catch_warnings():
        # It asks pkg_resources for its version, which emits a deprecation warning.
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        import pyworld
    return pyworld
