"""Another voice than the mel's: naturalness, F0 and formants, beside PSOLA of the recording.

    python -m studies.ablations.steering --speech data/many_voices/manifest.jsonl

Speakers that were not trained on, one utterance each, cut to 5 s.
"""

from collections.abc import Callable

import numpy as np
import parselmouth
import torch
from parselmouth.praat import call
from torch import Tensor

import vocoder
from studies.ablations.speech import SCORED_AT_HZ, held_out_utterances, score, study_parser
from vocoder.data.audio import Audio, resample
from vocoder.models.base import NO_CHANGE, VoiceChange
from vocoder.models.source_filter import SourceFilter
from vocoder.models.source_filter.config import Meets

SEMITONES = (-12, -4, 4, 12)
FORMANT_SCALES = (0.85, 1.18)
BREATHS_DB = (-6.0, 6.0)
NATURALNESS = ("distillmos", "dnsmos")
COLUMNS = (*NATURALNESS, "F0 (cents)", "formants (%)")
FORMANTS = (1, 2, 3)

Speak = Callable[[Tensor], Tensor]


def main() -> None:
    """Print one row per system and shift."""
    options = study_parser(__doc__).parse_args()
    utterances = held_out_utterances(options)
    model = vocoder.load(options.weights)
    assert isinstance(model, SourceFilter)

    def row(name: str, change: VoiceChange, speak: Speak) -> None:
        values = [_scores(each.at(model.sample_rate), speak, model, change) for each in utterances]
        numbers = " | ".join(f"{value:.3f}" for value in np.nanmean(values, axis=0))
        print(f"| {name} | {numbers} |", flush=True)

    print(f"| {len(utterances)} speakers | " + " | ".join(COLUMNS) + " |")
    row("recording", NO_CHANGE, lambda recording: recording)
    row("unchanged", NO_CHANGE, _changed(model, NO_CHANGE))
    for semitones in SEMITONES:
        change = VoiceChange(f0_scale=2 ** (semitones / 12))
        row(f"F0 {semitones:+d} semitones", change, _changed(model, change))
        row(f"PSOLA of the recording, {semitones:+d}", change, _psola(model, change.f0_scale))
    change = VoiceChange(f0_scale=2 ** (4 / 12))
    row("F0 +4, the networks alone", change, _changed(model, change, meets="nothing"))
    for factor in FORMANT_SCALES:
        change = VoiceChange(formant_scale=factor)
        row(f"formants × {factor}", change, _changed(model, change))
    for breath_db in BREATHS_DB:
        change = VoiceChange(breath_db=breath_db)
        row(f"breath {breath_db:+g} dB", change, _changed(model, change))


def _scores(
    recording: Tensor, speak: Speak, model: SourceFilter, change: VoiceChange
) -> list[float]:
    with torch.inference_mode():
        spoken = speak(recording)
    samples = min(recording.shape[1], spoken.shape[1])
    recording, spoken = recording[:, :samples], spoken[:, :samples]
    naturalness = score(recording, spoken, model.sample_rate, NATURALNESS)
    return [*naturalness.values(), *_movement(recording, spoken, model.sample_rate, change)]


def _changed(model: SourceFilter, change: VoiceChange, meets: Meets | None = None) -> Speak:
    def speak(recording: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        mel = model.mel(recording)
        changed: Tensor = model(mel, **change._asdict(), meets=meets, generator=generator)
        return changed

    return speak


def _psola(model: SourceFilter, f0_scale: float) -> Speak:
    """Moulines and Charpentier 1990, as Praat has it: the recording's own periods moved."""

    def speak(recording: Tensor) -> Tensor:
        sound = parselmouth.Sound(recording[0].double().numpy(), model.sample_rate)
        manipulation = call(sound, "To Manipulation", 0.01, 60, 500)
        tier = call(manipulation, "Extract pitch tier")
        call(tier, "Multiply frequencies", 0, sound.duration, f0_scale)
        call([tier, manipulation], "Replace pitch tier")
        moved = call(manipulation, "Get resynthesis (overlap-add)")
        return torch.from_numpy(moved.values).float()

    return speak


def _movement(
    recording: Tensor, spoken: Tensor, rate: int, change: VoiceChange
) -> tuple[float, float]:
    """Distance (cents) of the median F0 movement from the one asked for, and mean distance (%) of
    the formants' medians, in frames that are voiced in both."""
    scale = change.f0_scale
    pair = [
        parselmouth.Sound(
            resample(Audio(signal[0], rate), SCORED_AT_HZ).waveform.double().numpy(), SCORED_AT_HZ
        )
        for signal in (recording, spoken)
    ]
    tracks = [
        sound.to_pitch_ac(0.01, 70 * min(scale, 1), pitch_ceiling=400 * max(scale, 1))
        for sound in pair
    ]
    f0_hz = [track.selected_array["frequency"] for track in tracks]
    frames = min(map(len, f0_hz))
    voiced = (f0_hz[0][:frames] > 0) & (f0_hz[1][:frames] > 0)
    if voiced.sum() < 20:
        return float("nan"), float("nan")
    ratio = f0_hz[1][:frames][voiced] / f0_hz[0][:frames][voiced]
    cents = abs(1200 * float(np.median(np.log2(ratio / scale))))
    times = tracks[0].xs()[:frames][voiced]
    # Praat finds a fixed number of formants below its ceiling, which moves with them.
    ceilings_hz = 5500.0, min(5500.0 * change.formant_scale, SCORED_AT_HZ / 2)
    tracked = [
        sound.to_formant_burg(maximum_formant=ceiling)
        for sound, ceiling in zip(pair, ceilings_hz, strict=True)
    ]
    medians = [
        [np.nanmedian([found.get_value_at_time(n, t) for t in times]) for n in FORMANTS]
        for found in tracked
    ]
    before, after = np.array(medians)
    moved = after / before / change.formant_scale
    return cents, 100 * float(np.mean(np.abs(moved - 1)))


if __name__ == "__main__":
    main()
