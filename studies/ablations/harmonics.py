"""Harmonics and the rest: which of the two must be the recording's for a copy to be as natural?

    python -m studies.ablations.harmonics --speech data/many_voices/manifest.jsonl --every 2

Speakers that were not trained on, one utterance each, cut to 5 s, from Vocos's mel. With φ the
phase in cycles, the integral of the predicted F0, signals are taken apart in voiced frames into
harmonics below `HIGHEST_HZ`, which move no faster than a window of 43 ms shows, and the rest:

    c_k(t) = 2 Σ_n w(n - t) x(n) exp(-2πi k φ(n)) / Σ w;  harmonics = Re Σ_k c_k exp(2πi k φ)

Parts are swapped in the finished copy, and the mel projection (four passes and the low band) then
makes the sum meet the mel once more; every row has gone through it twice. Before the first the
copy's levels are some 10 dB off, and so is the ratio of a part to the rest. Phases are relative to
the first harmonic's, arg c_k - k arg c_1, unless said otherwise.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import interpolate, pad

import vocoder
from studies.ablations.speech import METRIC_NAMES, held_out_utterances, means, study_parser
from vocoder.dsp.carry import Carry
from vocoder.dsp.framing import fit_length, overlap_add
from vocoder.dsp.sources.oscillators import boundary_phase, sample_phase
from vocoder.models.source_filter import SourceFilter
from vocoder.models.source_filter import synthesis as signals

HIGHEST_HZ = 4000.0
WINDOW, STEP = 1024, 128
TREMBLE_SAMPLES = 96
"""Between two independent numbers of jitter and shimmer, 4 ms."""


class Copy:
    """A recording and its copy, taken apart."""

    def __init__(self, model: SourceFilter, recording: Tensor) -> None:
        self.model = model
        mel = model.mel(recording)
        gain = model.log_gain(model.pad_context(mel))
        left, right = model.context
        self.mel_gain = gain[:, left : gain.shape[1] - right]
        self.controls, pitch = model.controls(gain), model.estimate_pitch(gain)
        self.f0_hz, self.voicing = pitch.f0_hz, pitch.voicing
        hop, rate = model.spec.hop_length, model.sample_rate
        self.samples = mel.shape[2] * hop
        held = torch.cat([self.f0_hz, self.f0_hz[:, -1:]], dim=1)
        phase = sample_phase(boundary_phase(held, rate, hop), held, rate, hop)[0].double()
        self.phase = pad(phase[None, None], (WINDOW // 2, WINDOW // 2), "replicate")[0, 0]
        frames = (torch.arange(1 + self.samples // STEP) * STEP // hop).clamp(max=mel.shape[2] - 1)
        count = int(HIGHEST_HZ / float(self.f0_hz.min()))
        self.orders = torch.arange(1, count + 1)[:, None]
        known = self.orders * self.f0_hz[0, frames] < HIGHEST_HZ
        self.known = (known & (self.voicing[0, frames] > 0.5)).double()
        """Harmonics (order, window) that are taken out."""
        self.recording = fit_length(recording, self.samples)[0]
        self.excited = self.excite()
        self.copied = self.project(self.excited)[0]
        voiced_only = self.controls._replace(noise_gain=self.controls.noise_gain - 50)
        zeros = torch.zeros(1, self.samples)
        self.pulses = model.synthesis(voiced_only, self.f0_hz, self.voicing, zeros)[0]

    def excite(self) -> Float[Tensor, " samples"]:
        """Filtered pulses and noise, before the mel projection."""
        noise = torch.randn(1, self.samples, generator=torch.Generator().manual_seed(0))
        made: Tensor = self.model.synthesis(self.controls, self.f0_hz, self.voicing, noise)
        return made[0]

    def project(self, waveform: Float[Tensor, " samples"]) -> Float[Tensor, "1 samples"]:
        """The waveform, moved to meet the mel."""
        return self.model.synthesis.project(waveform[None], self.mel_gain, 4, 4, Carry(whole=True))

    def amplitudes(
        self, waveform: Float[Tensor, " samples"]
    ) -> Complex[Tensor, "harmonics windows"]:
        """Amplitudes c of a waveform."""
        window = torch.hann_window(WINDOW, dtype=torch.float64)
        padded = pad(waveform.double(), (WINDOW // 2, WINDOW // 2))
        rows = []
        for order in self.orders[:, 0].tolist():
            turned = padded * torch.exp(-2j * math.pi * order * self.phase)
            rows.append((turned.unfold(0, WINDOW, STEP) * window).sum(-1))
        return torch.stack(rows) * (2 / window.sum())

    def harmonics(
        self, amplitudes: Complex[Tensor, "harmonics windows"]
    ) -> Float[Tensor, " samples"]:
        """The sum of known harmonics with amplitudes c, cross-faded between windows."""
        window = torch.hann_window(WINDOW, dtype=torch.float64)
        frames = (amplitudes * self.known)[:, :, None] * window
        covered = overlap_add(window.expand(1, frames.shape[1], -1), STEP).clamp(min=1e-3)
        course = overlap_add(torch.view_as_real(frames).movedim(3, 0).flatten(0, 1), STEP) / covered
        real, imaginary = course.unflatten(0, (2, -1))[:, :, : len(self.phase)]
        turns = torch.exp(2j * math.pi * self.orders * self.phase)
        total = (torch.complex(real, imaginary) * turns).real.sum(0)
        return total[WINDOW // 2 :][: self.samples].float()


def unit(amplitudes: Tensor) -> Tensor:
    """Amplitudes of one: c / |c|."""
    return amplitudes / (amplitudes.abs() + 1e-12)


def rows(model: SourceFilter) -> dict[str, Callable[[Tensor], Tensor]]:
    """From a recording to its copy, by what is the recording's or otherwise different."""

    def swapped(change: Callable[[Copy, Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """With other harmonics, given the copy's and the recording's c."""

        def speak(recording: Tensor) -> Tensor:
            copy = Copy(model, recording)
            own, true = copy.amplitudes(copy.copied), copy.amplitudes(copy.recording)
            return copy.project(
                copy.copied - copy.harmonics(own) + copy.harmonics(change(copy, own, true))
            )

        return speak

    def relative(copy: Copy, amplitudes: Tensor) -> Tensor:
        units = unit(amplitudes)
        return units * units[:1].conj() ** copy.orders

    def constant(copy: Copy, own: Tensor, true: Tensor) -> Tensor:
        mean = (relative(copy, true) * copy.known).sum(1, keepdim=True)
        return own.abs() * unit(mean)

    def rest(recording: Tensor) -> Tensor:
        """The copy's harmonics, where the recording's fundamental has them, in the recording."""
        copy = Copy(model, recording)
        own, true = copy.amplitudes(copy.copied), copy.amplitudes(copy.recording)
        moved = own.abs() * relative(copy, own) * unit(true[:1]) ** copy.orders
        return copy.project(copy.recording - copy.harmonics(true) + copy.harmonics(moved))

    def jitter(cycles: float) -> Callable[[Tensor], Tensor]:
        def speak(recording: Tensor) -> Tensor:
            copy, steady = Copy(model, recording), signals.sample_phase
            shaken = cycles * tremble(copy.samples + model.spec.hop_length, 1)
            signals.sample_phase = lambda *given: (p := steady(*given)) + shaken[: p.shape[1]]
            try:
                waveform = copy.excite()
            finally:
                signals.sample_phase = steady
            return copy.project(copy.project(waveform)[0])

        return speak

    def shimmer(depth: float) -> Callable[[Tensor], Tensor]:
        def speak(recording: Tensor) -> Tensor:
            copy = Copy(model, recording)
            shaken = copy.excited + depth * tremble(copy.samples, 2) * copy.pulses
            return copy.project(copy.project(shaken)[0])

        return speak

    return {
        "nothing": swapped(lambda copy, own, true: own),
        "phases": swapped(lambda copy, own, true: own.abs() * relative(copy, true)),
        "mean phases": swapped(constant),
        "phases, the first harmonic's too": swapped(lambda copy, own, true: own.abs() * unit(true)),
        "harmonics": swapped(lambda copy, own, true: true),
        "all but the harmonics": rest,
        "jitter of 0.003 cycles": jitter(0.003),
        "jitter of 0.01 cycles": jitter(0.01),
        "jitter of 0.02 cycles": jitter(0.02),
        "shimmer of 10 %": shimmer(0.1),
        "the recording itself": lambda recording: recording,
    }


def tremble(samples: int, seed: int) -> Float[Tensor, " samples"]:
    """Gaussian numbers of unit power every 4 ms, interpolated linearly."""
    count = samples // TREMBLE_SAMPLES + 2
    numbers = torch.randn(1, 1, count, generator=torch.Generator().manual_seed(seed))
    return interpolate(numbers, size=count * TREMBLE_SAMPLES, mode="linear")[0, 0, :samples]


def main() -> None:
    """Print the table."""
    options = study_parser(__doc__).parse_args()
    utterances = held_out_utterances(options)
    model = vocoder.load(options.weights)
    assert isinstance(model, SourceFilter)
    print("| the recording's | " + " | ".join(METRIC_NAMES) + " |")
    for name, speak in rows(model).items():
        row = means(utterances, model.sample_rate, speak)
        print(f"| {name} | " + " | ".join(f"{row[m]:.3f}" for m in METRIC_NAMES) + " |", flush=True)


if __name__ == "__main__":
    main()
