"""Validation on whole utterances: mel in, waveform out."""

import math

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from vocoder.data.segments import Recording, SegmentSource
from vocoder.dsp.framing import fit_length
from vocoder.errors import AudioError
from vocoder.features.pitch import PitchEstimate
from vocoder.losses.pitch import f0_error_cents
from vocoder.losses.spectral import SpectralLoss, SpectralLossConfig
from vocoder.metrics.pesq import pesq_wb
from vocoder.models.base import Vocoder
from vocoder.training.objectives.base import Objective


class Validator:
    """Scores fixed utterances and writes scores, audio and pictures for TensorBoard.

    For every objective: its losses, as ``loss_…``, on fixed segments of the utterances. For models
    that synthesise more than one sample at a time also, on whole utterances: ``stft`` and ``mel``
    (`SpectralLoss`), ``pesq_wb``, and for models with pitch prediction ``f0_cents`` (over frames
    voiced in Praat's track) and ``voicing_error`` (fraction of frames). Utterances with undefined
    scores (no voiced frame, no speech found by PESQ) are excluded from the mean; scores that are
    always undefined are omitted.

    Args:
        objective: a separate instance, into whose model the weights to be scored are loaded.
        source: of the utterances, and of segments from them.
    """

    pictured = 3
    batches = 4

    def __init__(
        self,
        objective: Objective,
        source: SegmentSource,
        loss: SpectralLossConfig,
        writer: SummaryWriter,
    ) -> None:
        self.objective = objective.cpu().eval()
        self.model: Vocoder = self.objective.model
        self.source = source
        self.loss = SpectralLoss(loss, self.model.sample_rate)
        self.writer = writer
        self._recordings_shown: set[str] = set()

    @torch.no_grad()
    def __call__(self, step: int, weights: dict[str, Tensor]) -> dict[str, float]:
        """Mean scores of the model with the given weights."""
        self.model.load_state_dict(weights)
        scores = self._losses()
        if not self.model.batched:
            recordings = self.source.recordings
            rows = [self._score(each, step, index) for index, each in enumerate(recordings)]
            for name in rows[0]:
                if defined := [row[name] for row in rows if math.isfinite(row[name])]:
                    scores[name] = float(np.mean(defined))
        for name, value in scores.items():
            self.writer.add_scalar(f"valid/{name}", value, step)
        self.writer.flush()
        return scores

    def _losses(self) -> dict[str, float]:
        """The objective's losses, by the same code as in training."""
        rows = []
        for step in range(self.batches):
            batch = self.source.batch(step)
            items, samples = batch.waveform.shape
            seeds = [torch.Generator().manual_seed(8 * step + mark) for mark in range(8)]
            draws = self.objective.draw(items, samples, seeds.__getitem__)
            rows.append(self.objective(batch, *draws).losses)
        return {f"loss_{name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}

    def _score(self, recording: Recording, step: int, index: int) -> dict[str, float]:
        model, sample_rate = self.model, self.model.sample_rate
        reference = torch.from_numpy(recording.samples.astype(np.float32) / 32768)[None]
        mel = model.mel(reference) if recording.mel is None else recording.mel[None]
        pitch = model.predict_pitch(mel)
        estimate = model(mel, generator=torch.Generator().manual_seed(index))
        estimate = fit_length(estimate, reference.shape[1])
        if index < self.pictured:
            self._show(recording, reference[0], estimate[0], pitch, step)
        length = max(reference.shape[1], *self.loss.config.n_ffts)
        losses = self.loss(fit_length(reference, length), fit_length(estimate, length))
        try:
            pesq = pesq_wb(reference[0], estimate[0].clamp(-1, 1), sample_rate)
        except AudioError:  # silent or very short utterance: skip its score
            pesq = math.nan
        scores = {**{name: float(value) for name, value in losses.items()}, "pesq_wb": pesq}
        if pitch is not None:
            truth = recording.pitch
            scores["f0_cents"] = float(f0_error_cents(pitch.f0_hz[0], truth.f0_hz, truth.voicing))
            wrong = (pitch.voicing[0] > 0.5) != (truth.voicing > 0.5)
            scores["voicing_error"] = float(wrong.float().mean())
        return scores

    def _show(
        self,
        recording: Recording,
        reference: Tensor,
        estimate: Tensor,
        pitch: PitchEstimate | None,
        step: int,
    ) -> None:
        """Audio and picture of one utterance for TensorBoard."""
        spec, truth, name = self.model.spec, recording.pitch, recording.path.stem
        tracks = {"Praat": torch.where(truth.voicing > 0.5, truth.f0_hz, torch.nan)}
        if pitch is not None:
            voiced = pitch.voicing[0] > 0.5
            tracks["predicted"] = torch.where(voiced, pitch.f0_hz[0], torch.nan)
        figure = picture(reference, estimate, spec.sample_rate, spec.hop_length, tracks)
        self.writer.add_image(f"valid/{name}", pixels(figure), step, dataformats="HWC")
        self.writer.add_audio(f"valid/{name}", estimate, step, spec.sample_rate)
        if name not in self._recordings_shown:  # for comparison by listening
            self.writer.add_audio(f"recording/{name}", reference, step, spec.sample_rate)
            self._recordings_shown.add(name)


def picture(
    reference: Tensor,
    estimate: Tensor,
    sample_rate: int,
    hop_length: int,
    f0_hz: dict[str, Tensor],
) -> Figure:
    """Spectrograms of a recording and its resynthesis, one below the other, and F0 tracks below."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    for axis, waveform, title in (
        (axes[0], reference, "recording"),
        (axes[1], estimate, "resynthesis"),
    ):
        # Pad signals shorter than a window; avoid the log of digital silence.
        signal = np.pad(waveform.numpy(), (0, max(640 - len(waveform), 0)))
        signal = signal + 1e-7 * np.random.default_rng(0).standard_normal(len(signal))
        axis.specgram(signal, NFFT=512, noverlap=384, Fs=sample_rate, vmin=-140, vmax=-40)
        axis.set(title=title, ylabel="Hz")
    for name, track in f0_hz.items():
        axes[2].plot(np.arange(len(track)) * hop_length / sample_rate, track.numpy(), label=name)
    axes[2].set(ylabel="F0 (Hz)", xlabel="s")
    axes[2].legend()
    return figure


def pixels(figure: Figure) -> UInt8[np.ndarray, "height width rgb"]:
    """A drawn figure as an image, 0 to 255; whichever backend matplotlib is set to stays."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]
