"""Pictures of levels: one byte per pixel and a palette of colours."""

import io
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

SHADES = 64
"""Number of colours. One step is 1.4 dB of 90 dB, which is invisible; 256 colours would double the
file size."""


def encode_png(
    pixels: UInt8[np.ndarray, "rows columns"], palette: UInt8[np.ndarray, "colours 3"]
) -> bytes:
    """An 8-bit PNG with a palette, by Pillow; row 0 is the top.

    Args:
        pixels: indices into the palette.
        palette: red, green and blue of each colour.
    """
    rows, columns = pixels.shape
    image = Image.frombytes("P", (columns, rows), pixels.tobytes())
    image.putpalette(palette.tobytes())
    png = io.BytesIO()
    image.save(png, format="PNG")
    return png.getvalue()


def shade(
    levels: Float[np.ndarray, "rows columns"], low: float, high: float
) -> UInt8[np.ndarray, "rows columns"]:
    """Indices into a palette of `SHADES` colours, linearly from `low` to `high`, clipped."""
    relative = (levels - low) / (high - low)
    return np.clip(relative * SHADES, 0, SHADES - 1).astype(np.uint8)


@cache
def level_palette() -> UInt8[np.ndarray, "colours 3"]:
    """Matplotlib's "magma": uniform lightness steps, also in print and for the colour-blind."""
    from matplotlib import colormaps

    return _bytes(colormaps["magma"](np.linspace(0, 1, SHADES))[:, :3])


@cache
def difference_palette() -> UInt8[np.ndarray, "colours 3"]:
    """Blue below, nearly black at zero difference, orange above.

    Lightness rises equally to both sides; blue and orange are distinguishable for the colour-blind.
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
