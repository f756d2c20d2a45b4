"""Golden values of the signal-based metrics on four shipped recordings, each degraded twice.

`pip install pysptk fastdtw "setuptools<81"`, then `python -m tests.golden.signals` writes
`signals.json` again, in two minutes. Each value is computed by other means than `vocoder`: by the
packages that the metric's source uses, by the reference package, or by parselmouth, SciPy and
NumPy alone. `python -m tests.golden.signals --compare` prints for each metric its mean over the
pairs and how far the metric is from what is stored, at most.
"""

import json
import sys
from pathlib import Path

import numpy as np
import soxr

from tests.golden.networks import recording
from tests.metrics.golden import RATE, with_noise

GOLDEN = Path(__file__).with_suffix(".json")
RECORDINGS = (
    "test/it_dir-firstlast",
    "train/es_please-try-again",
    "train/fr_dictate_truncating_audio",
    "train/ru_0683",
)
FRAMES_OF_CEPSTRA = (20, 60, 90)


def noisy(signal: np.ndarray) -> np.ndarray:
    """White noise at 20 dB SNR."""
    return with_noise(signal, 20.0)


def dull(signal: np.ndarray) -> np.ndarray:
    """Half as loud, low-passed at 3.4 kHz, with an echo of 12 ms, in white noise at 40 dB SNR.

    Without the noise SPTK's `mgcep` does not converge: its normal matrix becomes singular.
    """
    from scipy.signal import firwin

    filtered = np.convolve(signal.astype(np.float64), firwin(101, 3400.0, fs=RATE), mode="same")
    echo = np.concatenate([np.zeros(192), filtered[:-192]])
    return with_noise(0.5 * filtered + 0.2 * echo, 40.0, seed=2)


DEGRADATIONS = {"noisy": noisy, "dull": dull}


def pairs(*names: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reference and estimate by "recording, degradation", of these recordings or of all."""
    return {
        f"{name}, {how}": (recording(name), degrade(recording(name)))
        for name in names or RECORDINGS
        for how, degrade in DEGRADATIONS.items()
    }


def compute() -> dict[str, dict[str, float]]:
    """All golden values by pair and metric, none of them by `vocoder`."""
    return {
        name: {
            "pesq_nb": _pesq_nb(*pair),
            **_stoi(*pair),
            "lsd": _lsd(*pair),
            "mcd_mgcep": _mcd_mgcep(*pair),
            "mcd_mcep": _mcd_mcep(*pair),
            "mcd_world": _mcd_world(*pair),
            **_praat(*pair),
            "aperiodicity_difference": _aperiodicity(*pair),
            **_snr(*pair),
        }
        for name, pair in pairs().items()
    }


def cepstra() -> dict[str, list[list[float]]]:
    """SPTK's cepstra of some frames, told to go on until they are exact."""
    import pysptk

    frames = _frames(recording(RECORDINGS[0]))[list(FRAMES_OF_CEPSTRA)]
    exact = {"threshold": 1e-10, "maxiter": 300}
    hamming, blackman = pysptk.hamming(1024), pysptk.blackman(1024)
    return {
        "mcep": [pysptk.mcep(f * hamming, 25, 0.41, **exact).tolist() for f in frames],
        "mgcep": [pysptk.mgcep(f * blackman, 25, 0.41, -0.2, **exact).tolist() for f in frames],
        "sp2mc": [
            pysptk.sp2mc(np.abs(np.fft.rfft(f * hamming)) ** 2 + 1.0, 39, 0.466).tolist()
            for f in frames
        ],
    }


def _pesq_nb(reference: np.ndarray, estimate: np.ndarray) -> float:
    from pesq import pesq

    return float(pesq(8000, *(soxr.resample(x, RATE, 8000) for x in (reference, estimate)), "nb"))


def _stoi(reference: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """At 10 kHz, where the package does not resample."""
    from pystoi import stoi

    pair = [soxr.resample(x, RATE, 10000).astype(np.float64) for x in (reference, estimate)]
    return {"stoi": float(stoi(*pair, 10000)), "estoi": float(stoi(*pair, 10000, extended=True))}


def _lsd(reference: np.ndarray, estimate: np.ndarray) -> float:
    from scipy.signal import spectrogram

    def levels_db(signal: np.ndarray) -> np.ndarray:
        _, _, power = spectrogram(
            signal.astype(np.float64), RATE, "hann", 512, 384, detrend=False, scaling="spectrum"
        )
        power[[0, -1]] *= 2  # SciPy counts these two bins once
        return 10 * np.log10(np.maximum(2 * power, 1e-10))

    difference = levels_db(reference) - levels_db(estimate)
    return float(np.sqrt((difference**2).mean(axis=0)).mean())


def _frames(signal: np.ndarray) -> np.ndarray:
    samples = 32768.0 * signal.astype(np.float64)
    return np.stack([samples[n : n + 1024] for n in range(0, len(samples) - 1023, 256)])


def _warped(first: np.ndarray, second: np.ndarray) -> float:
    from fastdtw import fastdtw
    from scipy.spatial.distance import euclidean

    _, path = fastdtw(first, second, dist=euclidean)
    distances = [np.sqrt(2 * np.sum((first[i] - second[j]) ** 2)) for i, j in path]
    return float(10 / np.log(10) * np.mean(distances))


def _mcd_mgcep(reference: np.ndarray, estimate: np.ndarray) -> float:
    """By SPTK as bigvsan_eval calls it, but at 16 kHz as it is."""
    import pysptk

    window = pysptk.blackman(1024)
    return _warped(*(pysptk.mgcep(_frames(x) * window, 25, 0.41, -0.2)
                     for x in (reference, estimate)))  # fmt: skip


def _mcd_mcep(reference: np.ndarray, estimate: np.ndarray) -> float:
    """By SPTK as ParallelWaveGAN calls it."""
    import pysptk

    window = pysptk.hamming(1024)
    return _warped(*(pysptk.mcep(_frames(x) * window, 25, 0.41, eps=1e-6, etype=1)
                     for x in (reference, estimate)))  # fmt: skip


def _mcd_world(reference: np.ndarray, estimate: np.ndarray) -> float:
    """By WORLD and SPTK as VERSA calls them."""
    import pysptk
    import pyworld
    from scipy.signal import firwin, lfilter

    def mel_cepstra(signal: np.ndarray) -> np.ndarray:
        high_pass = firwin(255, 70 / (RATE // 2), pass_zero=False)
        samples = lfilter(high_pass, 1, 32767.0 * signal.astype(np.float64))
        f0_hz, times_s = pyworld.harvest(samples, RATE, 40, 800, 5)
        return pysptk.sp2mc(
            pyworld.cheaptrick(samples, f0_hz, times_s, RATE, fft_size=1024), 39, 0.466
        )

    difference = mel_cepstra(reference) - mel_cepstra(estimate)
    return float(10 / np.log(10) * np.mean(np.sqrt(2 * (difference**2).sum(axis=1))))


def _f0_hz(signal: np.ndarray) -> np.ndarray:
    """Praat's F0 at samples 0, 160, 320, … and 0 where unvoiced.

    Its frames, 800 samples long, lie in the middle of the sound. Zeros around it, and one sample
    to spare, put their centres there.
    """
    import parselmouth

    frames = 1 + len(signal) // 160
    padded = np.zeros(801 + 160 * (frames - 1))
    padded[400 : 400 + len(signal)] = signal - signal.mean(dtype=np.float64)
    pitch = parselmouth.Sound(padded, float(RATE)).to_pitch_ac(0.01, 60.0, pitch_ceiling=500.0)
    assert pitch.nx == frames
    return np.ascontiguousarray(pitch.selected_array["frequency"])


def _praat(reference: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """F0 errors, and the harmonicity in those of its frames whose nearest F0 frame is voiced."""
    import parselmouth

    def harmonicity(signal: np.ndarray, voiced: np.ndarray) -> np.ndarray:
        sound = parselmouth.Sound(signal.astype(np.float64), float(RATE))
        found = sound.to_harmonicity_cc(0.01, 60.0, 0.1, 1.0)
        nearest = np.rint(found.xs() / 0.01 - 0.5 / 160).astype(int)
        values = np.where(voiced[nearest], found.values[0], np.nan)
        return np.where(values == -200, np.nan, values)

    f, g = _f0_hz(reference), _f0_hz(estimate)
    both = (f > 0) & (g > 0)
    difference = harmonicity(reference, both) - harmonicity(estimate, both)
    return {
        "f0_rmse_hz": float(np.sqrt(np.mean((g[both] - f[both]) ** 2))),
        "voicing_f1": float(2 * both.sum() / ((f > 0).sum() + (g > 0).sum())),
        "hnr_difference": float(np.nanmean(np.abs(difference))),
    }


def _aperiodicity(reference: np.ndarray, estimate: np.ndarray) -> float:
    """By WORLD's D4C at Praat's F0; the band at 3 kHz by hand."""
    import pyworld

    def analyse(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f0_hz = _f0_hz(signal)
        times_s = np.arange(len(f0_hz)) * 0.01
        aperiodicity = pyworld.d4c(signal.astype(np.float64), f0_hz, times_s, RATE, threshold=0.0)
        bin_hz = RATE / (2 * (aperiodicity.shape[1] - 1))
        return f0_hz, 20 * np.log10(aperiodicity[:, round(3000 / bin_hz)])

    (f, a), (g, b) = analyse(reference), analyse(estimate)
    return float(np.abs(a - b)[(f > 0) & (g > 0)].mean())


def _snr(reference: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """The gain of SI-SDR by least squares."""
    s, e = reference.astype(np.float64), estimate.astype(np.float64)
    gain = np.linalg.lstsq(s[:, None], e, rcond=None)[0][0]

    def ratio_db(signal: np.ndarray, noise: np.ndarray) -> float:
        return float(20 * np.log10(np.linalg.norm(signal) / np.linalg.norm(noise)))

    return {"snr": ratio_db(s, s - e), "si_sdr": ratio_db(gain * s, gain * s - e)}


def read() -> dict[str, dict[str, float]]:
    """The values as they are stored, by pair and metric."""
    stored: dict[str, dict[str, float]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["scores"]
    return stored


def read_cepstra() -> dict[str, np.ndarray]:
    """SPTK's cepstra as they are stored, each (frames, coefficients)."""
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))["cepstra"]
    return {name: np.array(values) for name, values in stored.items()}


def compare() -> None:
    """Print the largest difference of each metric from what is stored."""
    from vocoder.evaluation.registry import resolve_columns

    golden = read()
    for column in resolve_columns(list(next(iter(golden.values())))):
        found = [column.value(column.measure(*pair, RATE)) for pair in pairs().values()]
        expected = [golden[name][column.name] for name in pairs()]
        apart = np.abs(np.array(found) - expected)
        print(f"{column.name:24} {np.mean(expected):10.4f} {apart.max():10.2e}", flush=True)


if __name__ == "__main__":
    if "--compare" in sys.argv:
        compare()
    else:
        everything = {"scores": compute(), "cepstra": cepstra()}
        GOLDEN.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
