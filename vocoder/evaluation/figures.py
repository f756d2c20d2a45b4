"""Pictures of signals for reports."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from vocoder.data.files import replacing
from vocoder.errors import VocoderError
from vocoder.metrics.signals import Signal, checked_signal

WINDOW_S = 0.032
HOP_S = 0.004
RANGE_DB = 90.0


def spectrogram_figure(
    signals: Mapping[str, Signal],
    sample_rate: int,
    path: Path,
    f0_hz: Mapping[str, Signal] | None = None,
    f0_hop_s: float = 0.01,
) -> None:
    """One PNG with the spectrograms of several signals below each other, on one time axis.

    32 ms Hann windows every 4 ms, from 90 dB below the loudest point of the first signal up to it.
    All signals share one colour scale.

    Args:
        signals: waveforms (samples,) in [-1, 1] by title, top to bottom.
        sample_rate: of all, in Hz.
        path: of the PNG, written atomically.
        f0_hz: F0 tracks (frames,) by signal title, drawn over the spectrogram with an axis at the
            right; 0 or NaN leaves a gap.
        f0_hop_s: seconds between F0 frames; the first frame is at 0 s.

    Raises:
        VocoderError: no signals, an invalid signal, or a track for an unknown title.
    """
    # Imported here, since matplotlib is slow to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not signals:
        raise VocoderError("no signals to draw")
    tracks = dict(f0_hz or {})
    if unknown := set(tracks) - set(signals):
        raise VocoderError(f"an F0 track for {min(unknown)!r}, which is not among the signals")
    waveforms = {name: checked_signal(signal, name) for name, signal in signals.items()}
    levels = {name: levels_db(wave, sample_rate) for name, wave in waveforms.items()}
    loudest = float(next(iter(levels.values())).max())

    figure = Figure(figsize=(10, 0.6 + 2.2 * len(levels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(levels), sharex=True, squeeze=False)[:, 0]
    # All tracks share one F0 range.
    ceiling_hz = float(np.nanmax(np.concatenate([[0.0], *tracks.values()])))
    for axis, (name, level) in zip(axes, levels.items(), strict=True):
        duration_s = len(waveforms[name]) / sample_rate
        image = axis.imshow(
            level,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=loudest - RANGE_DB,
            vmax=loudest,
            interpolation="nearest",
            extent=(-HOP_S / 2, (level.shape[1] - 0.5) * HOP_S, 0, sample_rate / 2000),
        )
        axis.set_xlim(0, duration_s)
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_ylabel("kHz")
        if name in tracks:
            _draw_f0(axis, np.asarray(tracks[name], dtype=np.float64), f0_hop_s, ceiling_hz)
    axes[-1].set_xlim(0, max(len(wave) for wave in waveforms.values()) / sample_rate)
    axes[-1].set_xlabel("s")
    figure.colorbar(image, ax=list(axes), label="dB", pad=0.01, aspect=15 * len(levels))
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def levels_db(
    waveform: Float[torch.Tensor, " samples"], sample_rate: int
) -> Float[np.ndarray, "bins frames"]:
    """Spectrogram in dB, of a full-scale sine 0 dB: Hann windows centred on 0, `HOP_S`, …

    Args:
        waveform: (samples,) in [-1, 1].
        sample_rate: in Hz.
    """
    window = torch.hann_window(2 * round(WINDOW_S * sample_rate / 2))
    spectrum = torch.stft(
        waveform,
        len(window),
        round(HOP_S * sample_rate),
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    magnitude = (2 / window.sum() * spectrum.abs()).clamp(min=1e-9)
    return (20 * magnitude.log10()).numpy()


def _draw_f0(axis, f0_hz: np.ndarray, hop_s: float, ceiling_hz: float) -> None:  # type: ignore[no-untyped-def]
    """Draw a track over a spectrogram, outlined for light and dark backgrounds."""
    from matplotlib.patheffects import Normal, Stroke

    right = axis.twinx()
    line = np.where(f0_hz > 0, f0_hz, np.nan)
    right.plot(
        np.arange(len(line)) * hop_s,
        line,
        color="cyan",
        linewidth=1.4,
        path_effects=[Stroke(linewidth=3, foreground="black"), Normal()],
    )
    # The headroom keeps the track in the lower part, below the fricatives.
    right.set_ylim(0, 2 * ceiling_hz if ceiling_hz > 0 else 1)
    right.set_ylabel("F0 (Hz)")
