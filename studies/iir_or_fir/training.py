"""Training on audio: filters of half a second of speech, learned from their output."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from studies.envelopes import N_FFT
from studies.iir_or_fir.all_pole import AllPole
from studies.iir_or_fir.family import HOP, RATE, Family
from studies.iir_or_fir.finite import MinimumPhase, interpolated_causal
from studies.iir_or_fir.recursive import Bank, Biquads, PoleMixing
from vocoder.data.audio import read_audio
from vocoder.data.manifest import read_manifest
from vocoder.dsp.filters.tap_shapes import minimum_phase_taps
from vocoder.dsp.sources.noise import white_noise
from vocoder.errors import VocoderError
from vocoder.metrics.spectral_distance import log_spectral_distance
from vocoder.metrics.world import smoothed_spectrum

FRAMES = 100
"""Half a second."""
STEPS = 120
LEARNING_RATES = (0.05, 0.15, 0.4)
"""Candidates for every filter and method, compared on a segment of the validation split."""
EVERY = 5
"""Steps between measurements of the distance, which are not timed."""
TARGETS_DB = (10.0, 8.0, 6.0, 5.0)
STRETCHES = 2
"""Segments of the test split, one per utterance, in one batch."""
RESOLUTIONS = (256, 1024)
"""Of the spectrograms compared, Hann windows with a hop of a quarter."""
FLOOR = 1e-4
"""Floor of magnitudes, as a fraction of the target's root mean square."""
CONTESTANTS: tuple[Family, ...] = (
    MinimumPhase(256),
    AllPole(22),
    Biquads(8),
    Bank(8),
    PoleMixing(4),
)
WAYS = ("samples", "frames")


class DivergedError(VocoderError):
    """A training with non-finite numbers or audio."""


@dataclass(frozen=True)
class Trained:
    """One training.

    Attributes:
        start_db: log-spectral distance of the audio before training.
        distances_db: of each segment after training, with unseen noise.
        seen_db: mean over the segments after training, with the training noise.
        step_s: CPU seconds per step and second of audio.
        course_db: distance of the audio, mean over the segments, every EVERY steps.
    """

    family: Family
    way: str
    learning_rate: float
    start_db: float
    distances_db: list[float]
    seen_db: float
    step_s: float
    course_db: list[float]

    def seconds_to(self, target_db: float) -> float | None:
        """CPU seconds per second of audio until the distance is first reached."""
        for i, distance in enumerate(self.course_db):
            if distance <= target_db:
                return i * EVERY * self.step_s
        return None

    @property
    def mean_db(self) -> float:
        """Over the stretches."""
        return sum(self.distances_db) / len(self.distances_db)


def read_stretches(corpus: Path, split: str, count: int) -> Float[Tensor, "count edges bins"]:
    """CheapTrick's log gains (nepers) at frame boundaries of the loudest half second of utterances
    evenly spaced over the split; of zero mean each."""
    utterances = [u for u in read_manifest(corpus / "manifest.jsonl") if u.split == split]
    if len(utterances) < count:
        raise VocoderError(f"{corpus}: split {split} has {len(utterances)} utterances, not {count}")
    stretches = []
    for i in range(count):
        path = corpus / utterances[i * len(utterances) // count].path
        waveform = read_audio(path, RATE).waveform.double()
        windows = waveform.unfold(0, FRAMES * HOP, HOP)[:-1]
        first = int(windows.square().mean(dim=1).argmax())
        power = smoothed_spectrum(waveform.numpy(), RATE, HOP / RATE, 60.0, 500.0, N_FFT)
        log_gain = 0.5 * torch.from_numpy(power[first : first + FRAMES + 1]).log()
        stretches.append(log_gain - log_gain.mean())
    return torch.stack(stretches)


def excite(envelopes: Float[Tensor, "batch edges bins"], seed: int) -> tuple[Tensor, Tensor]:
    """White noise, and the same filtered by the envelopes' minimum-phase filters of 1024 taps,
    linearly interpolated between the boundaries."""
    batch, edges = envelopes.shape[:2]
    noise = white_noise(batch, (edges - 1) * HOP, torch.Generator().manual_seed(seed)).double()
    taps = minimum_phase_taps(envelopes, N_FFT)[:, :-1]
    return noise, interpolated_causal(noise, taps)


def train(
    family: Family,
    way: str,
    envelopes: Float[Tensor, "batch edges bins"],
    learning_rate: float,
    seed: int,
) -> Trained:
    """Adam on the mean squared difference of log spectrograms; the excitation is known.

    Raises:
        VocoderError: the audio or a distance is not finite.
    """
    noise, target = excite(envelopes, seed)
    wanted = [_log_spectrogram(target, n_fft, target) for n_fft in RESOLUTIONS]
    start = family.start().expand(*envelopes.shape[:2], -1)
    numbers = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([numbers], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    filter_ = family.samples if way == "samples" else family.frames
    spent, course = 0.0, []
    for step in range(STEPS):
        started = time.thread_time()
        output = filter_(noise, numbers)
        differences = [
            (_log_spectrogram(output, n_fft, target) - log).square().mean()
            for n_fft, log in zip(RESOLUTIONS, wanted, strict=True)
        ]
        loss = torch.stack(differences).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        spent += time.thread_time() - started
        if step % EVERY == 0:
            looked = _distances(output.detach(), target)
            course.append(sum(looked) / len(looked))
        if not bool(torch.isfinite(numbers).all()):
            raise DivergedError(f"{family.name}, {way}, {learning_rate}: numbers are not finite")
    step_s = spent / STEPS / (noise.numel() / RATE)
    with torch.no_grad():
        seen = _distances(filter_(noise, numbers), target)
        noise, target = excite(envelopes, seed + 100)
        before = _distances(filter_(noise, start), target)
        after = _distances(filter_(noise, numbers), target)
    seen_db, start_db = sum(seen) / len(seen), sum(before) / len(before)
    return Trained(family, way, learning_rate, start_db, after, seen_db, step_s, course)


def train_all(valid: Tensor, test: Tensor, families: Sequence[Family]) -> list[Trained]:
    """Train each filter by both methods, with the step size of least final distance on the
    validation segment."""
    found = []
    pairs = [(family, way) for family in families for way in WAYS]
    for family, way in track(pairs, "training through the sound"):
        tried = []
        for rate in LEARNING_RATES:
            try:
                tried.append(train(family, way, valid, rate, seed=1))
            except DivergedError as error:
                print(f"step size given up: {error}")
        if not tried:
            raise VocoderError(f"{family.name}, {way}: diverged with every step size")
        best = min(tried, key=lambda one: one.mean_db)
        found.append(train(family, way, test, best.learning_rate, seed=2))
    return found


def _log_spectrogram(signal: Tensor, n_fft: int, like: Tensor) -> Tensor:
    window = torch.hann_window(n_fft, dtype=signal.dtype)
    floor = FLOOR * float((like.square().mean() * window.square().sum()).sqrt())
    magnitude = torch.fft.rfft(signal.unfold(1, n_fft, n_fft // 4) * window).abs()
    return (magnitude + floor).log()


def _distances(output: Tensor, target: Tensor) -> list[float]:
    """Log-spectral distance of each segment, the target's peak at half of full scale.

    Raises:
        DivergedError: the output is not finite.
    """
    if not bool(torch.isfinite(output).all()):
        raise DivergedError("the sound is not finite")
    scale = 0.5 / target.abs().amax(dim=1, keepdim=True)
    pairs = zip((scale * target).float(), (scale * output).float(), strict=True)
    return [log_spectral_distance(wanted, found, RATE) for wanted, found in pairs]
