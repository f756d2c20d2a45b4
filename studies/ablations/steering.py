"""Another F0 than the mel's: naturalness, F0 and formants, beside Praat's PSOLA of the recording.

    python -m studies.ablations.steering --speech data/many_voices/manifest.jsonl

Speakers that were not trained on, one utterance each, cut to 5 s.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import parselmouth
import torch
from parselmouth.praat import call
from torch import Tensor

import vocoder
from studies.ablations.speech import SCORED_AT_HZ, Utterance, read_utterances, score
from vocoder.data.audio import Audio, resample
from vocoder.loading import find_checkpoint
from vocoder.models.source_filter import SourceFilter
from vocoder.training.recipe import load_recipe

SEMITONES = (-12, -7, -4, 4, 7, 12)
NATURALNESS = ("distillmos", "dnsmos")
FORMANTS = (1, 2, 3)

Speak = Callable[[Tensor], Tensor]


def main() -> None:
    """Print one row per system and shift."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--weights", default="universal")
    options = parser.parse_args()
    torch.set_num_threads(1)

    recipe = load_recipe(find_checkpoint(options.weights) / "recipe.yaml")
    utterances = read_utterances(options.speech, recipe.data.held_out)
    model = vocoder.load(options.weights)
    assert isinstance(model, SourceFilter)
    columns = (*NATURALNESS, "F0 (cents)", "formants (%)")
    print("| system | semitones | " + " | ".join(columns) + " |")
    _row("recording", 0, utterances, model.sample_rate, lambda recording: recording)
    for shift in (0, *SEMITONES):
        _row("this model", shift, utterances, model.sample_rate, _steered(model, shift, None))
    for shift in (-4, 4):
        plain = _steered(model, shift, "nothing")
        _row("its networks alone", shift, utterances, model.sample_rate, plain)
    for shift in SEMITONES:
        _row("PSOLA of the recording", shift, utterances, model.sample_rate, _psola(model, shift))


def _row(name: str, shift: int, utterances: Sequence[Utterance], rate: int, speak: Speak) -> None:
    rows = []
    for utterance in utterances:
        recording = utterance.at(rate)
        with torch.inference_mode():
            spoken = speak(recording)
        samples = min(recording.shape[1], spoken.shape[1])
        recording, spoken = recording[:, :samples], spoken[:, :samples]
        scores = score(recording, spoken, rate, NATURALNESS)
        f0_cents, formants = _movement(recording, spoken, rate, shift)
        rows.append([*scores.values(), f0_cents, formants])
    numbers = " | ".join(f"{value:.3f}" for value in np.nanmean(rows, axis=0))
    print(f"| {name} | {shift:+d} | {numbers} |", flush=True)


def _steered(model: SourceFilter, shift: int, meets: str | None) -> Speak:
    def speak(recording: Tensor) -> Tensor:
        steered: Tensor = model(
            model.mel(recording),
            f0_scale=2 ** (shift / 12),
            meets=meets,
            generator=torch.Generator().manual_seed(0),
        )
        return steered

    return speak


def _psola(model: SourceFilter, shift: int) -> Speak:
    """Moulines and Charpentier 1990, as Praat has it: the recording's own periods moved."""

    def speak(recording: Tensor) -> Tensor:
        sound = parselmouth.Sound(recording[0].double().numpy(), model.sample_rate)
        manipulation = call(sound, "To Manipulation", 0.01, 60, 500)
        tier = call(manipulation, "Extract pitch tier")
        call(tier, "Multiply frequencies", 0, sound.duration, 2 ** (shift / 12))
        call([tier, manipulation], "Replace pitch tier")
        moved = call(manipulation, "Get resynthesis (overlap-add)")
        return torch.from_numpy(moved.values).float()

    return speak


def _movement(recording: Tensor, spoken: Tensor, rate: int, shift: int) -> tuple[float, float]:
    """Distance (cents) of the median F0 movement from the shift, and mean distance (%) of the
    formants' medians, in frames that are voiced in both."""
    scale = 2 ** (shift / 12)
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
    cents = abs(1200 * float(np.median(np.log2(ratio))) - 100 * shift)
    times = tracks[0].xs()[:frames][voiced]
    medians = [
        [np.nanmedian([found.get_value_at_time(n, t) for t in times]) for n in FORMANTS]
        for found in (sound.to_formant_burg(maximum_formant=5500) for sound in pair)
    ]
    return cents, 100 * float(np.mean(np.abs(np.divide(*medians[::-1]) - 1)))


if __name__ == "__main__":
    main()
