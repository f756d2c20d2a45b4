"""The signals that metric tests use, and the golden values of the metrics on them.

`python -m tests.metrics.golden` writes `golden.json` again. Each value there is computed by other
means than `vocoder.metrics`: by the reference package, or by librosa, Praat and NumPy alone.
"""

import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_suffix(".json")
RATE = 16000
VOICED_S = ((0.2, 0.9), (1.1, 1.7), (2.0, 2.8))
UNVOICED_S = ((0.92, 1.05), (1.75, 1.9))
FORMANTS_HZ = ((600.0, 90.0), (1300.0, 120.0), (2500.0, 180.0), (3600.0, 260.0))


def gate(time_s: np.ndarray, spans: tuple[tuple[float, float], ...]) -> np.ndarray:
    """One inside the spans, zero outside, with 20 ms raised-cosine edges inwards."""
    total = np.zeros_like(time_s)
    for start, end in spans:
        rise = np.clip((time_s - start) / 0.02, 0, 1)
        fall = np.clip((end - time_s) / 0.02, 0, 1)
        total += 0.5 - 0.5 * np.cos(np.pi * np.minimum(rise, fall))
    return total


def speech_like(cents: float = 0.0, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Three seconds accepted as speech by PESQ and Praat: float32 in [-1, 1], shape (samples,).

    Harmonics of a gliding F0 around 130 Hz under four formants, in three "words", two hisses
    between them, and a noise floor of -66 dBFS.

    Args:
        cents: shift of the whole F0 contour.
        seed: of the noises.
        rate: in Hz.
    """
    time_s = np.arange(3 * rate) / rate
    f0_hz = 130.0 * 2.0 ** (cents / 1200) * 2.0 ** (0.25 * np.sin(2 * np.pi * 0.7 * time_s))
    phase = 2 * np.pi * np.cumsum(f0_hz) / rate
    voice = np.zeros_like(time_s)
    for harmonic in range(1, 40):
        frequency_hz = harmonic * f0_hz
        gain = sum(
            weight / (1 + ((frequency_hz - center) / width) ** 2)
            for weight, (center, width) in zip((1, 0.6, 0.3, 0.2), FORMANTS_HZ, strict=True)
        )
        audible = np.clip((0.45 * rate - frequency_hz) / 200, 0, 1)
        voice += (gain + 0.02) * audible * np.cos(harmonic * phase + harmonic**2)
    noise = np.random.RandomState(seed).randn(2, len(time_s))
    hiss = np.diff(noise[0], prepend=0.0)
    signal = gate(time_s, VOICED_S) * voice / np.abs(voice).max() * 0.6
    signal += gate(time_s, UNVOICED_S) * hiss * 0.03 + 5e-4 * noise[1]
    return signal.astype(np.float32)


def with_noise(signal: np.ndarray, snr_db: float, seed: int = 1) -> np.ndarray:
    """White noise added at a signal-to-noise ratio over the whole signal."""
    noise = np.random.RandomState(seed).randn(len(signal))
    gain = np.sqrt(np.mean(signal.astype(np.float64) ** 2) / 10 ** (snr_db / 10))
    return (signal + gain * noise).astype(np.float32)


def golden_pair() -> tuple[np.ndarray, np.ndarray]:
    """Reference and estimate of the golden values: F0 50 cents up, other noises, 30 dB SNR."""
    return speech_like(), with_noise(speech_like(cents=50.0, seed=2), 30.0)


def compute() -> dict[str, float]:
    """All golden values, none of them by `vocoder`."""
    reference, estimate = golden_pair()
    return {
        "pesq": _pesq(reference, estimate),
        "mstft": _mstft(reference, estimate),
        "mel_distance": _mel_distance(reference, estimate),
        **_f0(reference, estimate),
    }


def _pesq(reference: np.ndarray, estimate: np.ndarray) -> float:
    from pesq import pesq

    return float(pesq(RATE, reference, estimate, "wb"))


def _mstft(reference: np.ndarray, estimate: np.ndarray) -> float:
    import torch
    from auraloss.freq import MultiResolutionSTFTLoss

    target, given = (torch.from_numpy(x)[None, None] for x in (reference, estimate))
    return float(MultiResolutionSTFTLoss()(given, target))


def _mel_distance(reference: np.ndarray, estimate: np.ndarray) -> float:
    import librosa

    def log_mel(signal: np.ndarray) -> np.ndarray:
        mel = librosa.feature.melspectrogram(
            y=signal.astype(np.float64), sr=RATE, n_fft=1024, hop_length=256, n_mels=80,
            fmin=80, fmax=7600, power=1.0, pad_mode="reflect",
        )  # fmt: skip
        return np.log(np.maximum(mel, 1e-5))

    return float(np.mean(np.abs(log_mel(reference) - log_mel(estimate))))


def _f0(reference: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """Praat's own frames every 10 ms; they lie some samples beside those of the metric."""
    import parselmouth

    def track(signal: np.ndarray) -> np.ndarray:
        sound = parselmouth.Sound(signal.astype(np.float64), float(RATE))
        pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=60.0, pitch_ceiling=500.0)
        return pitch.selected_array["frequency"]

    f, g = track(reference), track(estimate)
    both = (f > 0) & (g > 0)
    cents = 1200 * np.log2(g[both] / f[both])
    return {
        "f0_rmse_cents": float(np.sqrt(np.mean(cents**2))),
        "voicing_error": float(np.mean((f > 0) != (g > 0))),
    }


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(compute(), indent=2) + "\n", encoding="utf-8")
