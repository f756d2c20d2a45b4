"""Three rooms by the image method, and reverberation time of a response."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.rooms.shoebox import room_response
from vocoder.errors import VocoderError

RATE = 16000
HIGH_PASS_HZ = 60.0
"""High-pass cutoff; all images are positive, so that lower frequencies are unrealistically
strong."""
EARLY_S = 0.05
"""Early reflections within this time support intelligibility; the limit of C50."""


@dataclass(frozen=True)
class Room:
    """A rectangular room, in metres, with equal walls. ``places`` are talker and microphone
    positions for validation, and others for the test."""

    name: str
    eyring_s: float
    """T60 by Eyring's formula, which determines the absorption. In a box with equal walls, sound
    decays more slowly along the long edges; the measured T60 is higher."""
    size_m: tuple[float, float, float]
    places_m: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]]


ROOMS = (
    Room(
        "office",
        0.18,
        (3.6, 2.9, 2.5),
        {
            "valid": ((1.1, 1.0, 1.3), (2.2, 1.8, 1.1)),
            "test": ((2.6, 0.9, 1.5), (1.4, 1.9, 1.2)),
        },
    ),
    Room(
        "living room",
        0.43,
        (5.8, 4.3, 2.7),
        {
            "valid": ((1.5, 1.2, 1.5), (3.1, 2.3, 1.2)),
            "test": ((4.1, 3.0, 1.6), (2.4, 1.8, 1.1)),
        },
    ),
    Room(
        "hall",
        0.78,
        (9.3, 7.1, 4.6),
        {
            "valid": ((2.4, 2.2, 1.6), (4.3, 3.4, 1.3)),
            "test": ((6.2, 4.7, 1.6), (4.2, 3.6, 1.2)),
        },
    ),
)


def response(room: Room, split: str) -> Float[Tensor, " taps"]:
    """Impulse response with a direct sound of one at sample 0."""
    source, microphone = room.places_m[split]
    volume = math.prod(room.size_m)
    a, b, c = room.size_m
    surface = 2 * (a * b + b * c + a * c)
    absorption = 1 - math.exp(-0.161 * volume / (surface * room.eyring_s))
    n_taps = round(room.eyring_s * RATE)
    order = math.ceil(math.sqrt(3) * room.eyring_s * 343 / min(room.size_m)) + 2
    direct = math.dist(source, microphone)
    delay = direct * RATE / 343
    whole = room_response(
        torch.tensor([room.size_m]),
        torch.tensor([source]),
        torch.tensor([microphone]),
        torch.full((1, 3, 2), absorption),
        RATE,
        n_taps + math.ceil(delay),
        order,
    )[0]
    filtered = _high_pass(whole.double() * (4 * math.pi * direct))
    return filtered[round(delay) :][:n_taps].float()


def _high_pass(signal: Tensor) -> Tensor:
    """High-pass at 60 Hz with a half-cosine transition, zero phase."""
    n_fft = 2 * len(signal)
    hz = torch.fft.rfftfreq(n_fft, 1 / RATE, dtype=signal.dtype)
    share = (hz / HIGH_PASS_HZ - 0.5).clamp(0, 1)
    gain = 0.5 - 0.5 * torch.cos(torch.pi * share)
    return torch.fft.irfft(torch.fft.rfft(signal, n_fft) * gain, n_fft)[: len(signal)]


def schroeder_db(energy: Float[Tensor, " times"]) -> Float[Tensor, " times"]:
    """Remaining energy in dB relative to the total: Schroeder's backward integral."""
    left = energy.flip(0).cumsum(0).flip(0)
    return 10 * torch.log10(left / left[0] + 1e-12)


def reverberation_time(
    energy: Float[Tensor, " times"], step_s: float, top_db: float = -5.0, bottom_db: float = -25.0
) -> float:
    """T60 (s): the slope of Schroeder's curve between two levels (T20's by default), to -60 dB.

    Args:
        energy: squared response, or energy per frame.
        step_s: seconds between two values.

    Raises:
        VocoderError: the response has no energy.

    Source: M. Schroeder, "New method of measuring reverberation time", JASA 37, 1965; ISO 3382.
    """
    if not bool(energy.sum() > 0):
        raise VocoderError("a response without energy has no reverberation time")
    curve = schroeder_db(energy.double())
    # Where the curve crosses the two levels, between its values.
    first, last = (_crossing(curve, level) for level in (top_db, bottom_db))
    chosen = torch.arange(len(curve))
    chosen = chosen[(chosen > first) & (chosen < last)]
    times = torch.cat([torch.tensor([first]), chosen, torch.tensor([last])]).double()
    levels = torch.cat([torch.tensor([top_db]), curve[chosen], torch.tensor([bottom_db])]).double()
    times, levels = times - times.mean(), levels - levels.mean()
    slope = (times * levels).sum() / times.square().sum()
    return float(-60 / slope) * step_s


def _crossing(curve: Tensor, level: float) -> float:
    """Position where a falling curve crosses a level, by linear interpolation."""
    after = int((curve <= level).to(torch.int8).argmax())
    if curve[after] > level:
        return float(len(curve))
    if after == 0:
        return 0.0
    high, low = float(curve[after - 1]), float(curve[after])
    return after - 1 + (high - level) / (high - low)


def early_to_late_db(energy: Float[Tensor, " times"], step_s: float) -> float:
    """C50: energy of the first 50 ms over the later energy, in dB, at most 60."""
    border = round(EARLY_S / step_s)
    early, late = energy[:border].double().sum(), energy[border:].double().sum()
    return float(10 * torch.log10(early / late.clamp(min=1e-6 * early)))
