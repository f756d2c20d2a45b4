"""Oracle swaps: which part of a copy must be right for the copy to be better?

    python -m studies.ablations.oracles --speech data/many_voices/manifest.jsonl

Each row takes one thing from the recording (F0, voicing, magnitudes, phases) and the rest from the
weights, on speakers that were not trained on. The low band is not projected.
"""

from collections.abc import Callable

import torch
from torch import Tensor

import vocoder
from studies.ablations.speech import METRIC_NAMES, held_out_utterances, means, study_parser
from vocoder.features.mel import MelSpec
from vocoder.features.pitch import extract_pitch
from vocoder.features.projection import project_mel
from vocoder.models.source_filter.model import SourceFilter

Speak = Callable[[Tensor], Tensor]


def main() -> None:
    """Print one row per swap."""
    parser = study_parser(__doc__)
    parser.add_argument("--mel", default="vocos_24k")
    parser.add_argument("--rows", nargs="*")
    options = parser.parse_args()
    utterances = held_out_utterances(options)
    model = vocoder.load(options.weights).for_mel(options.mel)
    assert isinstance(model, SourceFilter)
    swaps = oracle_swaps(model)
    print("| swap | " + " | ".join(METRIC_NAMES) + " |")
    for name in options.rows or swaps:
        row = means(utterances, model.sample_rate, swaps[name])
        print(f"| {name} | " + " | ".join(f"{row[m]:.4f}" for m in METRIC_NAMES) + " |", flush=True)


def oracle_swaps(model: SourceFilter) -> dict[str, Speak]:
    """Ways to copy a recording, by name."""

    def copy(f0: bool = False, voicing: bool = False, passes: int | None = None) -> Speak:
        def speak(recording: Tensor) -> Tensor:
            mel = model.mel(recording)
            pitch = extract_pitch(
                recording[0],
                model.sample_rate,
                model.spec.hop_length,
                mel.shape[2],
                model.spec.center_offset,
            )
            copied: Tensor = model(
                mel,
                f0_hz=pitch.f0_hz[None] if f0 else None,
                voicing=pitch.voicing[None] if voicing else None,
                mel_projection=passes,
                low_band_projection=0,
                generator=torch.Generator().manual_seed(0),
            )
            return copied

        return speak

    def after(speak: Speak, then: Callable[[Tensor, Tensor], Tensor]) -> Speak:
        return lambda recording: then(recording, speak(recording))

    spec = model.spec
    return {
        "none": copy(),
        "no projection": copy(passes=0),
        "8 passes": copy(passes=8),
        "32 passes": copy(passes=32),
        "F0": copy(f0=True),
        "voicing": copy(voicing=True),
        "F0 and voicing": copy(f0=True, voicing=True),
        "F0 and voicing, no projection": copy(f0=True, voicing=True, passes=0),
        "magnitudes, once": after(copy(), lambda x, y: with_magnitudes(x, y, spec, 1)),
        "magnitudes, 8 times": after(copy(), lambda x, y: with_magnitudes(x, y, spec, 8)),
        "magnitudes, 32 times": after(copy(), lambda x, y: with_magnitudes(x, y, spec, 32)),
        "phases": after(copy(), lambda x, y: with_magnitudes(y, x, spec, 1)),
        "phases below 1 kHz": after(copy(), lambda x, y: with_phases_in(x, y, spec, 0, 1000)),
        "phases from 1 to 3 kHz": after(
            copy(), lambda x, y: with_phases_in(x, y, spec, 1000, 3000)
        ),
        "phases above 3 kHz": after(copy(), lambda x, y: with_phases_in(x, y, spec, 3000, 1e9)),
        "phases, then 8 passes": after(
            copy(),
            lambda x, y: project_mel(
                with_magnitudes(y, x, spec, 1)[:, : spec.frames(x.shape[1]) * spec.hop_length],
                spec.log_amplitude(model.mel(x)),
                spec,
                8,
            ),
        ),
    }


def with_phases_in(
    recording: Tensor, copy: Tensor, spec: MelSpec, low_hz: float, high_hz: float
) -> Tensor:
    """The copy with the recording's phases from one frequency to another."""
    window = torch.hann_window(spec.n_fft)
    length = max(recording.shape[1], copy.shape[1])
    given, own = (
        torch.stft(
            torch.nn.functional.pad(wave, (0, length - wave.shape[1])),
            spec.n_fft,
            spec.hop_length,
            window=window,
            return_complex=True,
        )
        for wave in (recording, copy)
    )
    hertz = torch.linspace(0, spec.sample_rate / 2, own.shape[1])[:, None]
    inside = (hertz >= low_hz) & (hertz < high_hz)
    mixed = torch.polar(own.abs(), torch.where(inside, given.angle(), own.angle()))
    return torch.istft(mixed, spec.n_fft, spec.hop_length, window=window, length=length)


def with_magnitudes(magnitudes: Tensor, phases: Tensor, spec: MelSpec, times: int) -> Tensor:
    """The magnitudes of one waveform with the phases of another, `times` projections."""
    window = torch.hann_window(spec.n_fft)
    length = max(magnitudes.shape[1], phases.shape[1])
    padded = [
        torch.nn.functional.pad(wave, (0, length - wave.shape[1])) for wave in (magnitudes, phases)
    ]
    wanted, spectrum = (
        torch.stft(wave, spec.n_fft, spec.hop_length, window=window, return_complex=True)
        for wave in padded
    )
    for time in range(times):
        mixed = torch.polar(wanted.abs(), spectrum.angle())
        wave = torch.istft(mixed, spec.n_fft, spec.hop_length, window=window, length=length)
        if time + 1 < times:
            spectrum = torch.stft(
                wave, spec.n_fft, spec.hop_length, window=window, return_complex=True
            )
    return wave


if __name__ == "__main__":
    main()
