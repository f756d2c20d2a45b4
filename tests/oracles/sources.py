"""Slow float64 oracles of the sound sources, rooms and interpolators: root finding and loops."""

import itertools

import numpy as np
from scipy.optimize import brentq


def lf_times(rd: float) -> tuple[float, float, float]:
    """t_p, t_e and t_a of a period of one, after Fant's regressions."""
    ra, rk = (-1 + 4.8 * rd) / 100, (22.4 + 11.8 * rd) / 100
    rg = 0.25 * rk / (0.11 * rd / (0.5 + 1.2 * rk) - ra)
    return 1 / (2 * rg), (1 + rk) / (2 * rg), ra


def lf_constants(rd: float) -> tuple[float, float]:
    """α and ε, bracketed."""
    tp, te, ta = lf_times(rd)
    epsilon = brentq(lambda e: e * ta - 1 + np.exp(-e * (1 - te)), 0.1, 2 / ta, xtol=1e-14)
    omega = np.pi / tp

    def area(alpha: float) -> float:
        antiderivative = np.imag(
            (np.exp((alpha + 1j * omega) * te) - 1) / (alpha + 1j * omega)
        ) / -(np.exp(alpha * te) * np.sin(omega * te))
        tail = np.exp(-epsilon * (1 - te))
        returning = -((1 - tail) / epsilon - (1 - te) * tail) / (epsilon * ta)
        return antiderivative + returning

    return brentq(area, 0.01, 60, xtol=1e-14), epsilon


def lf_waveform(rd: float, cycles: np.ndarray) -> np.ndarray:
    """The flow's derivative with the main excitation, -1, at whole numbers of cycles."""
    (tp, te, ta), (alpha, epsilon) = lf_times(rd), lf_constants(rd)
    t = np.mod(np.asarray(cycles, dtype=np.float64) + te, 1.0)
    omega = np.pi / tp
    opening = -np.exp(alpha * (t - te)) * np.sin(omega * t) / np.sin(omega * te)
    tail = np.exp(-epsilon * (1 - te))
    closing = -(np.exp(-epsilon * np.maximum(t - te, 0)) - tail) / (epsilon * ta)
    return np.where(t < te, opening, closing)


def lf_harmonics(rd: float, count: int, n: int = 2**20) -> np.ndarray:
    """Complex amplitudes ``a - ib`` of the harmonics, from ``n`` samples of the waveform."""
    spectrum = np.fft.fft(lf_waveform(rd, np.arange(n) / n))
    return 2 * spectrum[1 : count + 1] / n


def sinusoids(
    amplitudes: np.ndarray, frequencies_hz: np.ndarray, rate: int, hop: int, start: np.ndarray
) -> np.ndarray:
    """Sum of oscillators with controls (boundaries, oscillators), phase by the trapezoidal rule."""
    knots = np.arange(len(amplitudes)) * hop
    positions = np.arange(knots[-1] + 1)
    total = np.zeros(knots[-1])
    for i in range(amplitudes.shape[1]):
        frequency = np.interp(positions, knots, frequencies_hz[:, i])
        amplitude = np.interp(positions, knots, amplitudes[:, i])
        phase = start[i]
        for n in range(knots[-1]):
            share = frequency[n] / (0.5 * rate)
            fade = min(max((0.925 - share) / 0.075, 0), 1)
            total[n] += fade * amplitude[n] * np.cos(2 * np.pi * phase)
            phase += 0.5 * (frequency[n] + frequency[n + 1]) / rate
    return total


def wavetable(
    phase: np.ndarray, fitting: np.ndarray, table: np.ndarray, levels: list[int]
) -> np.ndarray:
    """A table's Fourier series, each harmonic as strong as its levels are where ``fitting`` fit.

    From the number at which a level begins to be heard to that of the next, a harmonic goes along a
    straight line; at the beginning only what the level below has is there.
    """
    rising = levels[-2::-1]
    knots = [*rising, int(np.ceil(levels[0] * 2 ** (1 / 3)))]
    series = 2 * np.fft.rfft(table) / len(table)
    total = np.zeros(len(phase))
    for k in range(1, levels[0] + 1):
        gain = np.interp(fitting, knots, [0.0] + [float(k <= count) for count in rising])
        total += gain * np.real(series[k] * np.exp(2j * np.pi * k * phase))
    return total


def image_sources(
    room: np.ndarray, source: np.ndarray, reflection: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and gains of the images after at most ``order`` reflections, mirrored one by one.

    ``reflection`` (3, 2): pressure reflected by the wall at zero and by the wall opposite.
    """
    images = {(0, 0, 0): (np.asarray(source, dtype=np.float64), 1.0)}
    for _ in range(order):
        for (cell, (position, gain)), axis, side in itertools.product(
            list(images.items()), range(3), range(2)
        ):
            # In a mirrored room the walls have changed places.
            step = 1 if side else -1
            neighbour = list(cell)
            neighbour[axis] += step
            if tuple(neighbour) in images or sum(map(abs, neighbour)) > order:
                continue
            wall = room[axis] * (cell[axis] + side)
            mirrored = position.copy()
            mirrored[axis] = 2 * wall - position[axis]
            which = side if cell[axis] % 2 == 0 else 1 - side
            images[tuple(neighbour)] = (mirrored, gain * reflection[axis, which])
    positions, gains = zip(*images.values(), strict=True)
    return np.array(positions), np.array(gains)


def room_response(
    positions: np.ndarray,
    gains: np.ndarray,
    microphone: np.ndarray,
    rate: int,
    taps: int,
    half: int,
) -> np.ndarray:
    """Impulses of images, each at its distance, as sincs under a Hann window of 2 half samples."""
    response = np.zeros(taps)
    for position, gain in zip(positions, gains, strict=True):
        distance = np.linalg.norm(position - microphone)
        for n in range(taps):
            x = n - distance * rate / 343.0
            if abs(x) < half:
                window = np.cos(0.5 * np.pi * x / half) ** 2
                response[n] += gain / (4 * np.pi * distance) * np.sinc(x) * window
    return response
