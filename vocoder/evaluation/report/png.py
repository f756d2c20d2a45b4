"""Pictures of levels, written straight from arrays: one byte a pixel and a table of colours."""

import struct
import zlib
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

SHADES = 64
"""Steps of a scale of colours. Of 90 dB each is 1.4 dB: finer than one sees, coarse enough that
the file is half as large as with 256."""

_COMPRESSION = 6


def encode_png(
    pixels: UInt8[np.ndarray, "rows columns"], palette: UInt8[np.ndarray, "colours 3"]
) -> bytes:
    """An 8-bit PNG with a palette; row 0 is the top.

    Source: W3C Recommendation "Portable Network Graphics (PNG) Specification", third edition.
    """
    rows, columns = pixels.shape
    # Every row begins with the number of its filter; of palette indices none is worth filtering.
    lines = np.zeros((rows, columns + 1), dtype=np.uint8)
    lines[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"PLTE", palette.tobytes())
        + _chunk(b"IDAT", zlib.compress(lines.tobytes(), _COMPRESSION))
        + _chunk(b"IEND", b"")
    )


def shade(
    levels: Float[np.ndarray, "rows columns"], low: float, high: float
) -> UInt8[np.ndarray, "rows columns"]:
    """Indices into a palette of `SHADES` colours, evenly from `low` to `high`, clipped to both."""
    relative = (levels - low) / (high - low)
    return np.clip(relative * SHADES, 0, SHADES - 1).astype(np.uint8)


@cache
def level_palette() -> UInt8[np.ndarray, "colours 3"]:
    """Matplotlib's "magma": evenly brighter, also in print and to the colour-blind."""
    from matplotlib import colormaps

    return _bytes(colormaps["magma"](np.linspace(0, 1, SHADES))[:, :3])


@cache
def difference_palette() -> UInt8[np.ndarray, "colours 3"]:
    """Blue below, nearly black in the middle, orange above: no difference is dark.

    Lightness rises alike to both sides; blue and orange stay apart to the colour-blind.
    """
    stops = np.array([
        [0.66, 0.90, 1.00],
        [0.10, 0.52, 0.92],
        [0.06, 0.06, 0.08],
        [0.90, 0.42, 0.05],
        [1.00, 0.88, 0.55],
    ])  # fmt: skip
    at = np.linspace(0, len(stops) - 1, SHADES)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)]
    return _bytes(np.stack(channels, axis=1))


def _bytes(colours: Float[np.ndarray, "colours 3"]) -> UInt8[np.ndarray, "colours 3"]:
    return np.round(255 * colours).astype(np.uint8)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum
