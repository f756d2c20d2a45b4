"""Source-filter vocoders: mel spectrograms in, speech out.

>>> import vocoder
>>> v = vocoder.load()
>>> v.sample_rate
24000
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["MelSpec", "__version__", "load"]

if TYPE_CHECKING:
    from vocoder.features.mel import MelSpec
    from vocoder.loading import load


def __getattr__(name: str) -> Any:
    # Importing the package must not cost what importing torch costs.
    if name == "load":
        from vocoder.loading import load

        return load
    if name == "MelSpec":
        from vocoder.features.mel import MelSpec

        return MelSpec
    raise AttributeError(f"module 'vocoder' has no attribute {name!r}")
