"""Speeds and bandwidths of the corpus's formants, for interpreting the sweeps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import parselmouth
from rich.progress import track

from studies.iir_or_fir.family import HOP, RATE
from vocoder.data.audio import read_audio
from vocoder.data.manifest import read_manifest
from vocoder.features.pitch import extract_pitch

HIGHEST_HZ = 5000.0
"""Praat searches for five formants below it, for a male vocal tract."""
STEP = 4
"""Frames of 5 ms over which a speed is measured; frame to frame, tracker noise would dominate."""
FORMANTS = (1, 2, 3)


@dataclass(frozen=True)
class Formant:
    """Absolute speeds (Hz per ms) and bandwidths (Hz) over the voiced frames."""

    number: int
    speeds: np.ndarray
    bandwidths_hz: np.ndarray


def read_formants(corpus: Path, utterances: int) -> list[Formant]:
    """Praat's formants (Burg's method) of the first utterances of the test split."""
    test = [u for u in read_manifest(corpus / "manifest.jsonl") if u.split == "test"]
    speeds: dict[int, list[np.ndarray]] = {number: [] for number in FORMANTS}
    widths: dict[int, list[np.ndarray]] = {number: [] for number in FORMANTS}
    for utterance in track(test[:utterances], "formants"):
        waveform = read_audio(corpus / utterance.path, RATE).waveform
        count = len(waveform) // HOP
        voiced = extract_pitch(waveform, RATE, HOP, count, 0).voicing.numpy() > 0.5
        sound = parselmouth.Sound(waveform.double().numpy(), RATE)
        found = sound.to_formant_burg(time_step=HOP / RATE, maximum_formant=HIGHEST_HZ)
        times = np.arange(count) * HOP / RATE
        # Only where all frames of the step are voiced.
        steady = np.lib.stride_tricks.sliding_window_view(voiced, STEP + 1).all(axis=1)
        for number in FORMANTS:
            track_hz = np.array([found.get_value_at_time(number, time) for time in times])
            moved = np.abs(track_hz[STEP:] - track_hz[:-STEP]) / (1000 * STEP * HOP / RATE)
            speeds[number].append(moved[steady & np.isfinite(moved)])
            width = np.array([found.get_bandwidth_at_time(number, time) for time in times])
            widths[number].append(width[voiced & np.isfinite(width)])
    return [
        Formant(number, np.concatenate(speeds[number]), np.concatenate(widths[number]))
        for number in FORMANTS
    ]
