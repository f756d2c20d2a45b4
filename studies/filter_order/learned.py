"""A network that predicts the taps of the next 10 ms from past spectra.

Trained on other utterances (and other paths through the room), it learns a family of filters and
needs no step size. Its input is band levels without phase, and its taps are minimum-phase.
"""

import math

import librosa
import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import pad

from studies.filter_order.contest import Point, error_db
from studies.filter_order.signals import HOP, LONGEST, RATE, Record
from vocoder.dsp.filters.fir import filter_frames_causal
from vocoder.dsp.filters.tap_shapes import dct_log_gain, minimum_phase_taps

WINDOW, BANDS, HIDDEN, COEFFICIENTS = 512, 40, 96, 48
BINS = LONGEST + 1
TRAINING_TAPS = 256
STEPS, BATCH, LEARNING_RATE = 1000, 8, 2e-3


class Network(nn.Module):
    """Log band powers of input and output → GRU → DCT of a log gain → minimum-phase taps."""

    def __init__(self) -> None:
        super().__init__()
        mel = librosa.filters.mel(sr=RATE, n_fft=WINDOW, n_mels=BANDS, norm=None)
        self.register_buffer("mel", torch.from_numpy(mel).float())
        self.recurrent = nn.GRU(2 * BANDS, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, COEFFICIENTS)

    def log_gain(self, record: Record) -> Float[Tensor, "batch frames bins"]:
        """Log gain for every frame, from past samples."""
        features = torch.cat([self._bands(record.target), self._bands(record.signal)], dim=2)
        coefficients = self.output(self.recurrent(features)[0])
        # In nepers instead of the orthonormal DCT's √bins.
        return dct_log_gain(coefficients * math.sqrt(BINS / 2), BINS)

    def _bands(self, signal: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames bands"]:
        past = pad(signal, (WINDOW, 0))[:, :-HOP].unfold(1, WINDOW, HOP)
        power = torch.fft.rfft(past * torch.hann_window(WINDOW)).abs().square()
        return torch.log(power @ self.get_buffer("mel").T + 1e-2)

    def macs_per_sample(self, order: int) -> float:
        """Windows, transforms (2.5 n log2 n flops, two to a multiplication), bands, network, gain
        to taps by three transforms, and the filter itself in direct form."""
        transform = 1.25 * WINDOW * math.log2(WINDOW)
        bands = 2 * (WINDOW + transform + 2 * (WINDOW // 2) + BANDS * (WINDOW // 2 + 1))
        inputs = 2 * BANDS
        network = 3 * HIDDEN * (inputs + HIDDEN) + HIDDEN * COEFFICIENTS
        n_fft = 2 * (BINS - 1)
        taps = COEFFICIENTS * BINS + 3 * 1.25 * n_fft * math.log2(n_fft)
        return (bands + network + taps) / HOP + order


def train(records: Record, seed: int) -> Network:
    """Train on segments of many records; the loss is the error's energy over the clean output's, in
    dB."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in track(range(STEPS), "training the network"):
        rows = torch.randint(len(records.signal), (BATCH,), generator=generator)
        part = Record(*(x[rows] for x in vars(records).values()))
        loss = error_db(_output(network, part, TRAINING_TAPS), part.clean).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network


def predicted(network: Network, system: str, test: Record, order: int) -> Point:
    """The network's filter truncated to an order; it was trained at `TRAINING_TAPS`."""
    with torch.no_grad():
        errors = error_db(_output(network, test, order), test.clean)
    macs = network.macs_per_sample(order)
    return Point(system, "network", order, None, macs, errors.tolist())


def _output(network: Network, record: Record, order: int) -> Tensor:
    taps = minimum_phase_taps(network.log_gain(record), order)
    return filter_frames_causal(record.signal, taps)[0]
