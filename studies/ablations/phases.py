"""Phases of the harmonics: other ones in place of the learned ones, and how true the learned are.

    python -m studies.ablations.phases --speech data/many_voices/manifest.jsonl

Speakers that were not trained on, one utterance each, cut to 5 s, from Vocos's mel. The first table
has the scores with each kind of phases. The second has how deep the envelopes of some bands move
with F0 in voiced frames (`vocoder.dsp.analysis.modulation`), by the recording's F0. The third has,
for harmonics k, the mean of

    cos(θ_k - k θ_1 - (ψ_k - k ψ_1))

over voiced frames, with θ the phases of the recording's harmonics and ψ the filter's at them: one
if the waveform within a period is the recording's, zero if it has nothing to do with it. Beside it
stands how well the recording's own θ_k - k θ_1 agrees with that of 43 ms later, and with its
speaker's mean.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import vocoder
from studies.ablations.speech import (
    METRIC_NAMES,
    Utterance,
    held_out_utterances,
    means,
    study_parser,
)
from vocoder.dsp.analysis.cepstrum import minimum_phase
from vocoder.dsp.analysis.modulation import band_envelope, envelope_modulation
from vocoder.dsp.framing import fit_length
from vocoder.dsp.sources.oscillators import boundary_phase, sample_phase
from vocoder.features.pitch import extract_pitch
from vocoder.models.source_filter import SourceFilter

GLOTTAL_HZ, GLOTTAL_Q = 150.0, 0.7
"""Anti-causal resonance of the glottal flow's open phase, as in models with mixed phase."""
HARMONICS = (2, 3, 4, 6, 8, 10, 12)
MOVEMENTS = ((500, 1000, 1), (1000, 2000, 1), (2000, 4000, 1), (4000, 7500, 1), (2000, 4000, 2))
"""Edges of a band in Hz, and the multiple of F0 with which its envelope is compared."""
WINDOW, LATER = 1024, 4
"""Samples of a Fourier coefficient, and hops of 256 between two that share no sample."""

Phases = Callable[[Float[Tensor, "batch steps bins"]], Tensor]


def kinds_of_phases(sample_rate: int, n_bins: int) -> dict[str, Phases | None]:
    """Phases by name, from the harmonic filter's log gain; None for the learned ones."""
    ratio = torch.linspace(0, sample_rate / 2, n_bins) / GLOTTAL_HZ
    glottal = torch.atan2(ratio / GLOTTAL_Q, 1 - ratio.square())
    fixed = 2 * math.pi * torch.rand(n_bins, generator=torch.Generator().manual_seed(0))
    return {
        "learned": None,
        "zero": torch.zeros_like,
        "minimum": minimum_phase,
        "maximum": lambda gain: -minimum_phase(gain),
        "minimum, glottal pulse": lambda gain: minimum_phase(gain) + 2 * glottal,
        "random, constant": fixed.expand_as,
    }


def with_phases(model: SourceFilter, phases: Phases | None) -> Callable[[Tensor], Tensor]:
    """From a recording to its copy with these phases of the harmonic filter."""

    def speak(recording: Tensor) -> Tensor:
        mel = model.mel(recording)
        gain = model.log_gain(model.pad_context(mel))
        controls, pitch = model.controls(gain), model.estimate_pitch(gain)
        if phases is not None:
            angle = phases(controls.harmonic_gain)
            controls = controls._replace(
                harmonic_real=torch.cos(angle), harmonic_imaginary=torch.sin(angle)
            )
        samples = mel.shape[2] * model.spec.hop_length
        noise = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
        left, right = model.context
        mel_gain = gain[:, left : gain.shape[1] - right]
        copied: Tensor = model.synthesis(controls, pitch.f0_hz, pitch.voicing, noise, mel_gain)
        return copied

    return speak


def envelope_depths(
    model: SourceFilter,
    utterances: list[Utterance],
    speakers: Mapping[str, Callable[[Tensor], Tensor]],
) -> dict[str, list[float]]:
    """Mean depths of the movement of `MOVEMENTS` over the voiced frames of all utterances, by
    speaker: from a recording to a waveform of the same length or more."""
    hop, rate = model.spec.hop_length, model.sample_rate
    found: dict[str, list[Tensor]] = {name: [] for name in speakers}
    for utterance in utterances:
        recording = utterance.at(rate)
        pitch = extract_pitch(recording[0], rate, hop, -(-recording.shape[1] // hop), 0)
        f0_hz = torch.cat([pitch.f0_hz, pitch.f0_hz[-1:]])[None]
        phase = sample_phase(boundary_phase(f0_hz, rate, hop), f0_hz, rate, hop)
        voiced = pitch.voicing > 0
        for name, speak in speakers.items():
            with torch.inference_mode():
                waveform = fit_length(speak(recording), phase.shape[1])
            depths = [
                envelope_modulation(
                    band_envelope(waveform, rate, low, high), phase, hop, WINDOW - 1, harmonic
                ).depth[0, voiced]
                for low, high, harmonic in MOVEMENTS
            ]
            found[name].append(torch.stack(depths))
    return {name: torch.cat(rows, dim=1).mean(1).tolist() for name, rows in found.items()}


def harmonic_phases(
    signal: Float[Tensor, " samples"], phase: Float[Tensor, " samples"], hop: int
) -> Float[np.ndarray, "harmonics frames"]:
    """Unit vectors of k = 1 and `HARMONICS`, in Hann windows along a phase (cycles), turned by -k
    times the first one's angle."""
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    vectors = []
    for k in (1, *HARMONICS):
        turned = signal.double() * torch.exp(-2j * math.pi * k * phase.double())
        vectors.append((turned.unfold(0, WINDOW, hop) * window).sum(-1))
    units = torch.stack([vector / (vector.abs() + 1e-12) for vector in vectors]).numpy()
    orders = np.array([1, *HARMONICS])[:, None]
    return units * units[:1].conj() ** orders


def agreements(model: SourceFilter, utterances: list[Utterance]) -> dict[str, np.ndarray]:
    """Mean cosines by row of the second table, one per harmonic."""
    spec = model.spec
    hop, rate = spec.hop_length, spec.sample_rate
    found: dict[str, list[np.ndarray]] = {"learned": [], "43 ms later": [], "speaker's mean": []}
    for utterance in utterances:
        recording = utterance.at(rate)
        with torch.inference_mode():
            mel = model.mel(recording)
            frames = mel.shape[2]
            pitch = extract_pitch(recording[0], rate, hop, frames, spec.center_offset)
            f0_hz, voicing = pitch.f0_hz[None], pitch.voicing[None].float()
            controls = model.controls(model.log_gain(model.pad_context(mel)))
            harmonic = model.synthesis(
                controls._replace(noise_gain=controls.noise_gain - 50),
                f0_hz,
                voicing,
                torch.zeros(1, frames * hop),
            )
        held = torch.cat([f0_hz, f0_hz[:, -1:]], dim=1)  # of windows from samples 0, hop, …
        phase = sample_phase(boundary_phase(held, rate, hop), held, rate, hop)[0]
        true = harmonic_phases(fit_length(recording, frames * hop)[0], phase, hop)
        made = harmonic_phases(harmonic[0], phase, hop)
        centres = (np.arange(true.shape[1]) * hop + WINDOW // 2) // hop
        voiced = voicing[0].numpy()[centres.clip(max=frames - 1)] > 0
        both = voiced[LATER:] & voiced[:-LATER]
        found["learned"].append((true * made.conj()).real[:, voiced].mean(1))
        found["43 ms later"].append(
            (true[:, LATER:] * true[:, :-LATER].conj()).real[:, both].mean(1)
        )
        found["speaker's mean"].append(np.abs(true[:, voiced].mean(1)))
    return {name: np.mean(rows, axis=0)[1:] for name, rows in found.items()}


def main() -> None:
    """Print the tables."""
    options = study_parser(__doc__).parse_args()
    utterances = held_out_utterances(options)
    model = vocoder.load(options.weights)
    assert isinstance(model, SourceFilter)
    rate = model.sample_rate
    print("| phases | " + " | ".join(METRIC_NAMES) + " |")
    for name, phases in kinds_of_phases(rate, model.synthesis.n_fft // 2 + 1).items():
        row = means(utterances, rate, with_phases(model, phases))
        print(f"| {name} | " + " | ".join(f"{row[m]:.3f}" for m in METRIC_NAMES) + " |", flush=True)
    titles = [f"{low} to {high} Hz, {times} F0" for low, high, times in MOVEMENTS]
    print("| depth | " + " | ".join(titles) + " |")
    speakers = {"the recording": lambda recording: recording} | {
        name: with_phases(model, phases)
        for name, phases in kinds_of_phases(rate, model.synthesis.n_fft // 2 + 1).items()
    }
    for name, depths in envelope_depths(model, utterances, speakers).items():
        print(f"| {name} | " + " | ".join(f"{depth:.2f}" for depth in depths) + " |")
    print("| agreement | " + " | ".join(map(str, HARMONICS)) + " |")
    for name, values in agreements(model, utterances).items():
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |")


if __name__ == "__main__":
    main()
