"""Versions of the packages that affect scores."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import vocoder

READING = ("numpy", "soundfile", "soxr", "torch")
"""Distributions used to read, resample and align every pair."""

ABSENT = "absent"


@cache
def package_version(distribution: str) -> str:
    """Version of an installed distribution (pip's name), or "absent"."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ABSENT


def package_versions(distributions: Iterable[str] = ()) -> dict[str, str]:
    """Versions of this package, of those that read audio, and of `distributions`, by name.

    Names are sorted; missing distributions have "absent".
    """
    names = sorted({*READING, *distributions})
    return {"vocoder": vocoder.__version__, **{name: package_version(name) for name in names}}
