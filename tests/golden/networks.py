"""Golden values of the network-based metrics, on one shipped recording.

`python -m tests.golden.networks` writes `networks.json` again. Each value is computed by the
reference package as its authors' own evaluation calls it, without `vocoder.metrics`.
"""

import functools
import json
import math
from pathlib import Path
from unittest import mock

import numpy as np
import soundfile

from tests.metrics.golden import RATE, with_noise

GOLDEN = Path(__file__).with_suffix(".json")
TINY = Path(__file__).resolve().parents[2] / "egs" / "tiny" / "wavs"


def recording(name: str = "valid/en_conf-onlyperson") -> np.ndarray:
    """A recording of the tiny corpus: float32 in [-1, 1], shape (samples,), 16 kHz.

    The default is English, 3.2 s: "You are currently the only person in this conference."
    """
    samples, rate = soundfile.read(TINY / f"{name}.wav", dtype="float32")
    assert rate == RATE
    return samples


def golden_pair() -> tuple[np.ndarray, np.ndarray]:
    """The recording, and the same in white noise at 30 dB SNR."""
    return recording(), with_noise(recording(), 30.0)


def crepe_pair() -> tuple[np.ndarray, np.ndarray]:
    """Half a second of another, a pause and voiced sounds, clean and at 10 dB SNR."""
    clean = recording("test/ru_0806")[8000:16000]
    return clean, with_noise(clean, 10.0)


def compute() -> dict[str, float | str]:
    """All golden values, none of them by `vocoder`."""
    reference, estimate = golden_pair()
    values: dict[str, float | str] = {}
    for measure, model in ((cargan, "full"), (cargan, "tiny"), (vocos, "tiny")):
        names = ("periodicity", "f1", "cents")
        for name, value in zip(names, measure(*crepe_pair(), model), strict=True):
            values[f"{measure.__name__}_{model}_{name}"] = value
    values |= _visqol(reference, estimate)
    values["speaker_similarity"] = _resemblyzer(reference, estimate)
    values["distillmos"] = _distillmos(estimate)
    return values | _pocketsphinx(reference, estimate)


def cargan(reference: np.ndarray, estimate: np.ndarray, model: str) -> tuple[float, float, float]:
    """Periodicity RMSE, F1 and F0 RMSE as CARGAN's code has them, with torchcrepe's own parts.

    But for the dither, which is switched off; the signals are taken at 16 kHz.
    """
    import torch
    import torchcrepe

    def track(signal: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        frames = int(len(signal) * 22050 / RATE) // 256
        audio = torch.from_numpy(np.pad(signal, (1024 - 185) // 2, mode="reflect"))[None]
        f0_hz, periodicity = torchcrepe.predict(
            audio, RATE, 185, 50, 550, model, return_periodicity=True, batch_size=1024, pad=False
        )
        silence = torchcrepe.threshold.Silence(-60.0)
        periodicity = silence(periodicity, audio, RATE, hop_length=185, pad=False)
        if f0_hz.shape[1] != frames:
            resize = functools.partial(
                torch.nn.functional.interpolate, size=frames, mode="linear", align_corners=False
            )
            f0_hz = 2 ** resize(torch.log2(f0_hz)[None])[0]
            periodicity = resize(periodicity[None])[0]
        return f0_hz, periodicity

    decide = torchcrepe.threshold.Hysteresis()
    with mock.patch("torchcrepe.convert.dither", lambda cents: cents):
        (f, p), (g, q) = track(reference), track(estimate)
    return _errors(f, p, ~torch.isnan(decide(f, p)), g, q, ~torch.isnan(decide(g, q)))


def vocos(reference: np.ndarray, estimate: np.ndarray, model: str) -> tuple[float, float, float]:
    """The same as Vocos's code has them, without the dither."""
    import librosa
    import torch
    import torchcrepe

    def track(signal: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        audio = torch.from_numpy(signal)[None]
        f0_hz, periodicity = torchcrepe.predict(
            audio, RATE, None, 50, 550, model, return_periodicity=True, pad=False
        )
        power = np.abs(librosa.stft(signal, n_fft=1024, hop_length=160, center=False)) ** 2
        frequencies = librosa.fft_frequencies(sr=RATE, n_fft=1024)
        loudness = (librosa.perceptual_weighting(power, frequencies) - 20.0).mean(axis=0)
        periodicity[0, torch.from_numpy(loudness < -60.0)] = 0.0
        return f0_hz, periodicity

    with mock.patch("torchcrepe.convert.dither", lambda cents: cents):
        (f, p), (g, q) = track(reference), track(estimate)
    return _errors(f, p, p >= 0.21, g, q, q >= 0.21)


def _errors(f, p, voiced, g, q, voiced_too) -> tuple[float, float, float]:  # type: ignore[no-untyped-def]
    hits = (voiced & voiced_too).sum()
    precision = hits / (hits + (~voiced & voiced_too).sum())
    recall = hits / (hits + (voiced & ~voiced_too).sum())
    both = voiced & voiced_too
    cents = 1200 * (f[both].log2() - g[both].log2())
    return (
        float(((p - q) ** 2).mean().sqrt()),
        float(2 * precision * recall / (precision + recall)),
        float((cents**2).mean().sqrt()),
    )


def _visqol(reference: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode="speech", use_lattice_model=True)
    result = api.measure_from_arrays(reference, estimate, RATE)
    same = api.measure_from_arrays(reference, reference, RATE)
    return {"visqol": result.moslqo, "visqol_nsim": result.vnsim, "visqol_equal": same.moslqo}


def _resemblyzer(reference: np.ndarray, estimate: np.ndarray) -> float:
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    a, b = (encoder.embed_utterance(preprocess_wav(x)) for x in (reference, estimate))
    return float(np.inner(a, b))


def _distillmos(estimate: np.ndarray) -> float:
    import torch
    from distillmos import ConvTransformerSQAModel

    with torch.no_grad():
        return float(ConvTransformerSQAModel().eval()(torch.from_numpy(estimate)[None]))


def _pocketsphinx(reference: np.ndarray, estimate: np.ndarray) -> dict[str, float | str]:
    """A new decoder per signal, so that signals are independent."""
    from pocketsphinx import Decoder

    def hear(signal: np.ndarray) -> str:
        decoder = Decoder(samprate=16000.0, loglevel="FATAL")
        decoder.start_utt()
        decoder.process_raw((32767 * signal).round().astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        return decoder.hyp().hypstr

    expected, heard = hear(reference), hear(estimate)

    @functools.cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        substituted = distance(i - 1, j - 1) + (expected[i - 1] != heard[j - 1])
        return min(substituted, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    cer = distance(len(expected), len(heard)) / len(expected)
    return {"expected": expected, "heard": heard, "cer": cer}


def read() -> dict[str, float]:
    """The values as they are stored."""
    stored: dict[str, float] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert all(math.isfinite(value) for value in stored.values() if isinstance(value, float))
    return stored


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(compute(), indent=2) + "\n", encoding="utf-8")
