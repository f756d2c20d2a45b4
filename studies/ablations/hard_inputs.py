"""Inputs that are hard for a vocoder: high, low and gliding voices, creak, whisper, music, silence.

    python -m studies.ablations.hard_inputs --speech data/many_voices/manifest.jsonl --every 4

Voices with a known F0 are made: glottal pulses (Liljencrants and Fant) through the resonances of a
vowel. Whisper is the speech of held-out speakers with noise in place of its source. Copies are made
from Vocos's mel with the passes of the weights. Of every copy:

- F0 of Praat, 45 to 1100 Hz: its root-mean-square error in cents where it is within 50 cents of the
  true one, and the share of frames where it is not, or where Praat finds no voice;
- the share of frames that Praat finds voiced, recording and copy: where the recording has no voice,
  those of the copy are a hum;
- the level, copy less recording;
- the largest burst: energy of 2 ms above 1 kHz, in dB over the largest of the recording within
  25 ms to either side, not less than -70 dB of full scale. A click is one.

Keeps what it found in `studies/ablations/hard_inputs.json` and renews its table in RESULTS.md.
Other `--systems` (weights by name or folder, with a label and an equals sign before it or without)
want another `--output`; their table is printed.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import sosfilt
from torch import Tensor
from torch.nn.functional import avg_pool1d, max_pool1d

import vocoder
from studies.ablations.speech import (
    Utterance,
    copy_with,
    held_out_utterances,
    labelled,
    renew_results,
    study_parser,
)
from studies.scores import write_model
from studies.scripts import run, table
from vocoder.config import Config
from vocoder.dsp.analysis.cepstrum import real_cepstrum
from vocoder.dsp.filters.spectral_filter import short_time_spectrum, time_varying_filter
from vocoder.dsp.framing import fit_length
from vocoder.dsp.sources.glottal import lf_source
from vocoder.dsp.sources.oscillators import wrap
from vocoder.features.pitch import extract_pitch

KEPT = Path(__file__).with_suffix(".json")
MEL, RATE, HOP = "vocos_24k", 24000, 256
SYSTEMS = ("universal", "nano", "griffin_lim")
RMS = 0.05
FORMANTS_HZ, BANDWIDTHS_HZ = (700, 1220, 2600, 3300, 4500), (80, 90, 120, 180, 250)
STEADY_HZ = (60, 80, 120, 240, 400, 500, 600, 700, 800)
GROSS_CENTS = 50.0
FADE_FRAMES = 6
"""Frames at either end of a made voice that no F0 is asked of."""
BURST_FLOOR_DB = -70.0


class Input(NamedTuple):
    """A recording at `RATE`, (1, samples); the F0 of its frames in Hz, where that is known."""

    recording: Tensor
    f0_hz: Tensor | None = None


class Found(Config):
    """Means over the recordings of a kind, and the largest burst of all.

    Fields:
        recordings: as many.
        f0_cents: error of F0 within `GROSS_CENTS`.
        gross: share of frames with a larger one or none.
        voiced, voiced_copy: shares of frames.
        level_db: copy less recording.
        burst_db: largest.
    """

    recordings: int
    f0_cents: float | None
    gross: float | None
    voiced: float
    voiced_copy: float
    level_db: float
    burst_db: float


class HardInputs(Config):
    """What was found, by system and kind of input."""

    found: dict[str, dict[str, Found]]


# ---- what is heard -----------------------------------------------------------------------------


def vowel(f0_hz: Float[Tensor, " samples"]) -> Float[Tensor, "1 samples"]:
    """A vowel with this F0, faded in and out over 50 ms."""
    samples = len(f0_hz) // HOP * HOP
    f0_hz = f0_hz[:samples].double()
    phase = wrap((f0_hz / RATE).cumsum(0))[None]
    rd = torch.ones(1, samples // HOP + 1)
    source = lf_source(phase.float(), f0_hz[None].float(), rd, RATE)[0]
    voice = torch.from_numpy(sosfilt(resonances(), source.double().numpy())).float()
    ramp = torch.arange(samples).clamp(max=RATE // 20) / (RATE / 20)
    return levelled(voice * torch.minimum(ramp, ramp.flip(0)))


def resonances() -> np.ndarray:
    """One section per formant, (sections, 6), with a gain of one at 0 Hz."""
    sections = []
    for centre, bandwidth in zip(FORMANTS_HZ, BANDWIDTHS_HZ, strict=True):
        radius = math.exp(-math.pi * bandwidth / RATE)
        a1, a2 = -2 * radius * math.cos(2 * math.pi * centre / RATE), radius**2
        sections.append([1 + a1 + a2, 0, 0, 1, a1, a2])
    return np.array(sections)


def levelled(waveform: Float[Tensor, " samples"]) -> Float[Tensor, "1 samples"]:
    """The waveform at `RMS`."""
    return (waveform * (RMS / waveform.square().mean().sqrt()))[None]


def voice(f0_hz: Tensor) -> Input:
    """A vowel and the F0 of its frames, at the multiples of the hop."""
    recording = vowel(f0_hz)
    return Input(recording, f0_hz[: recording.shape[1] : HOP])


def creak(seed: int) -> Input:
    """A vowel whose periods last 10 to 15 ms at random."""
    generator = torch.Generator().manual_seed(seed)
    periods_s = 0.01 + 0.005 * torch.rand(150, generator=generator)
    samples = (periods_s * RATE).round().long()
    return Input(vowel(torch.repeat_interleave(RATE / samples, samples)))


def whisper(utterance: Utterance) -> Input:
    """The recording's smooth envelope on white noise: cepstrum below 2 ms, every 5 ms."""
    recording, n_fft, hop = utterance.at(RATE), 1024, 128
    recording = recording[:, : recording.shape[1] // hop * hop]
    spectrum = short_time_spectrum(recording, n_fft, hop)
    spectrum = spectrum[:, : recording.shape[1] // hop]
    cepstrum = real_cepstrum((spectrum.abs() + 1e-5).log())
    cepstrum[..., 48 : n_fft - 47] = 0
    envelope = torch.fft.rfft(cepstrum).real.exp()
    noise = torch.randn(recording.shape, generator=torch.Generator().manual_seed(0))
    return Input(levelled(time_varying_filter(noise, envelope)[0]))


def chords(seed: int) -> Input:
    """Three notes at a time, plucked twice a second, and a burst of noise on every beat."""
    generator = torch.Generator().manual_seed(seed)
    beat, beats = RATE // 2, 6
    time_s = torch.arange(beat) / RATE
    bars = []
    for _ in range(beats):
        notes = 110 * 2 ** (torch.randint(36, (3,), generator=generator) / 12)
        tones = torch.zeros(beat)
        for order in range(1, 9):
            for note in notes * order:
                decay = torch.exp(-4 * order * time_s) / order
                tones += torch.sin(2 * math.pi * note * time_s) * decay
        drum = torch.randn(beat, generator=generator) * torch.exp(-60 * time_s)
        bars.append(tones * (time_s / 0.003).clamp(max=1) + drum)
    return Input(levelled(torch.cat(bars)))


def amid_silence(utterance: Utterance) -> Input:
    """Half a second of digital silence, speech that begins and ends at once, and silence."""
    speech = utterance.at(RATE)
    middle = speech.shape[1] // 2
    word = speech[:, middle - RATE // 2 : middle + RATE // 2]
    silence = torch.zeros(1, RATE // 2)
    return Input(torch.cat([silence, levelled(word[0]), silence], dim=1))


def inputs(utterances: Sequence[Utterance]) -> dict[str, list[Input]]:
    """Recordings by kind."""
    two_s = torch.arange(2 * RATE) / RATE
    noise = torch.randn(2 * RATE, generator=torch.Generator().manual_seed(0))
    kinds = {f"steady, {f0} Hz": [voice(torch.full((36000,), float(f0)))] for f0 in STEADY_HZ}
    return kinds | {
        "glide, 80 to 320 Hz in 2 s": [voice(80 * 4 ** (two_s / 2))],
        "glide, 200 to 800 Hz in 2 s": [voice(200 * 4 ** (two_s / 2))],
        "glide, 320 to 80 Hz in 0.5 s": [voice(80 * 4 ** (1 - 2 * two_s[: RATE // 2]))],
        "vibrato, 6 Hz, ± 100 cents at 300 Hz": [
            voice(300 * 2 ** (torch.sin(2 * math.pi * 6 * two_s) / 12))
        ],
        "creak, periods of 10 to 15 ms": [creak(seed) for seed in range(3)],
        "whisper": [whisper(each) for each in utterances],
        "chords and drums": [chords(seed) for seed in range(3)],
        "speech amid digital silence": [amid_silence(each) for each in utterances],
        "white noise": [Input(levelled(noise))],
        "white noise, 40 dB softer": [Input(levelled(noise) / 100)],
        "digital silence": [Input(torch.zeros(1, RATE))],
    }


# ---- what is measured --------------------------------------------------------------------------


def bursts_db(waveform: Float[Tensor, "1 samples"]) -> Float[Tensor, "1 frames"]:
    """Energy of every 2 ms above 1 kHz, dB of full scale, not less than `BURST_FLOOR_DB`."""
    spectrum = torch.fft.rfft(waveform)
    hertz = torch.fft.rfftfreq(waveform.shape[1], 1 / RATE)
    high = torch.fft.irfft(spectrum * (hertz > 1000), n=waveform.shape[1])
    energy = avg_pool1d(high.square(), RATE // 500)
    return (10 * torch.log10(energy + 1e-20)).clamp(min=BURST_FLOOR_DB)


def measure(given: Input, copy: Tensor) -> Found:
    """One copy."""
    recording = given.recording
    pitches = [
        extract_pitch(signal[0], RATE, HOP, recording.shape[1] // HOP, 0, 45.0, 1100.0)
        for signal in (recording, copy)
    ]
    voiced, voiced_copy = (float(pitch.voicing.mean()) for pitch in pitches)
    cents = gross = None
    if given.f0_hz is not None:
        inner = slice(FADE_FRAMES, len(given.f0_hz) - FADE_FRAMES)
        error = 1200 * torch.log2(pitches[1].f0_hz / given.f0_hz)[inner]
        near = (error.abs() < GROSS_CENTS) & (pitches[1].voicing[inner] > 0)
        gross = float((~near).float().mean())
        cents = float(error[near].square().mean().sqrt()) if near.any() else None
    around = max_pool1d(bursts_db(recording), 25, 1, 12)
    level = [10 * math.log10(float(signal.square().mean()) + 1e-10) for signal in (recording, copy)]
    return Found(
        recordings=1, f0_cents=cents, gross=gross, voiced=voiced, voiced_copy=voiced_copy,
        level_db=level[1] - level[0], burst_db=float((bursts_db(copy) - around).max()),
    )  # fmt: skip


def together(found: Sequence[Found]) -> Found:
    """Means, and the largest burst."""

    def mean(name: str) -> float | None:
        values = [getattr(each, name) for each in found if getattr(each, name) is not None]
        return round(sum(values) / len(values), 4) if values else None

    names = ("f0_cents", "gross", "voiced", "voiced_copy", "level_db")
    return Found.model_validate(
        {"recordings": len(found), "burst_db": round(max(each.burst_db for each in found), 2)}
        | {name: mean(name) for name in names}
    )


def lines(measured: HardInputs) -> str:
    """One line per input, in each cell the systems in their order."""
    systems = list(measured.found.values())
    order = " / ".join(measured.found)
    rows = [["input", "n", "F0 error, cents", "gross errors, %", "voiced, %: recording / copies",
             "level, dB", "largest burst, dB"]]  # fmt: skip
    for name, first in systems[0].items():
        each = [system[name] for system in systems]
        rows.append([
            name, str(first.recordings),
            " / ".join("–" if one.f0_cents is None else f"{one.f0_cents:.1f}" for one in each),
            " / ".join("–" if one.gross is None else f"{100 * one.gross:.0f}" for one in each),
            " / ".join(f"{100 * share:.0f}" for share in (
                first.voiced, *(one.voiced_copy for one in each))),
            " / ".join(f"{one.level_db:+.1f}" for one in each),
            " / ".join(f"{one.burst_db:+.0f}" for one in each),
        ])  # fmt: skip
    return f"In each cell: {order}.\n\n{table(rows)}"


def main() -> None:
    """Measure, keep, and renew the table."""
    parser = study_parser(__doc__)
    parser.add_argument("--systems", nargs="+", default=SYSTEMS)
    parser.add_argument("--output", type=Path, default=KEPT)
    options = parser.parse_args()
    if tuple(options.systems) != SYSTEMS and options.output.resolve() == KEPT:
        parser.error(f"--output: name another file, {KEPT.name} holds {', '.join(SYSTEMS)}")
    given = inputs(held_out_utterances(options))
    found: dict[str, dict[str, Found]] = {}
    with torch.inference_mode():
        for system in options.systems:
            label, name = labelled(system)
            speak = copy_with(vocoder.load(name).for_mel(MEL))
            found[label] = {}
            for kind, recordings in given.items():
                found[label][kind] = together([
                    measure(each, fit_length(speak(each.recording), each.recording.shape[1]))
                    for each in recordings
                ])  # fmt: skip
                print(label, kind, found[label][kind], flush=True)
    kept = HardInputs(found=found)
    write_model(options.output, kept)
    if options.output.resolve() == KEPT:
        renew_results("hard-inputs", lines(kept))
    else:
        print(lines(kept))


if __name__ == "__main__":
    run(main)
