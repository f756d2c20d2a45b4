"""``python -m vocoder_runtime MODEL.onnx IN.wav OUT.wav``: a recording to mel and back."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from vocoder_runtime.errors import VocoderError
from vocoder_runtime.onnx_vocoder import OnnxVocoder


def main(arguments: Sequence[str] | None = None) -> None:
    """Resynthesise a recording; exit with 1 and one line on standard error if that fails."""
    options = _parser().parse_args(arguments)
    try:
        vocoder = OnnxVocoder(options.model, options.threads)
        waveform = read_audio(options.input, vocoder.sample_rate)
        spoken = resynthesise(vocoder, waveform, options.f0_scale, options.seed)
        write_audio(options.output, spoken, vocoder.sample_rate)
        if (peak := np.abs(spoken).max()) > 1:
            print(f"warning: {options.output}: its peak of {peak:.2f} is clipped", file=sys.stderr)
    except VocoderError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error


def resynthesise(
    vocoder: OnnxVocoder, waveform: np.ndarray, f0_scale: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Speech (samples,) from the mel of a waveform (samples,), with F0 times ``f0_scale``.

    Raises:
        VocoderError: another F0 is asked of a file that imposes the mel's own harmonics, or of one
            for streams; or F0 leaves the range below Nyquist.
    """
    mel = vocoder.mel(waveform)
    if vocoder.streams:
        if f0_scale != 1:
            raise VocoderError("--f0-scale: this file is for streams; export without --streaming")
        stream = vocoder.stream(seed)
        return np.concatenate([stream.push(mel), stream.flush()], axis=1)[0]
    if f0_scale == 1:
        return vocoder(mel, seed=seed)[0]
    if vocoder.meets == "mel":
        raise VocoderError(
            "--f0-scale: this file imposes the mel's own harmonics on its output; write one with "
            "`vocoder export --meets envelope`"
        )
    f0_hz, voicing = vocoder.predict_pitch(mel)
    highest_hz = f0_scale * float(f0_hz.max())
    if not 0 < highest_hz < vocoder.sample_rate / 2:
        raise VocoderError(
            f"--f0-scale {f0_scale:g}: F0 would rise to {highest_hz:.0f} Hz, outside 0 to "
            f"{vocoder.sample_rate // 2} Hz"
        )
    return vocoder(mel, f0_scale * f0_hz, voicing, seed=seed)[0]


def read_audio(path: Path, sample_rate: int) -> np.ndarray:
    """The sound of a file, its channels averaged: float32 (samples,).

    Raises:
        VocoderError: it cannot be read, is empty, or has another rate (nothing here resamples).
    """
    try:
        channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise VocoderError(f"{path}: cannot be read as audio ({error})") from error
    if rate != sample_rate:
        raise VocoderError(
            f"{path}: {rate} Hz, but the vocoder needs {sample_rate} Hz; resample it first, for "
            f"example with `sox {path} -r {sample_rate} resampled.wav`"
        )
    if not np.isfinite(channels).all() or len(channels) == 0:
        raise VocoderError(f"{path}: no samples, or NaN or infinite ones")
    waveform: np.ndarray = channels.mean(axis=1)
    return waveform


def write_audio(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    """Write 16 bits, in the format of the name's suffix; a former file stays until all is written.

    Raises:
        VocoderError: it cannot be written.
    """
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.part{path.suffix}")
    try:
        soundfile.write(temporary, waveform, sample_rate, subtype="PCM_16")
        temporary.replace(path)
    except (OSError, ValueError, TypeError, soundfile.SoundFileError) as error:
        reason = str(error).replace(str(temporary), str(path))
        raise VocoderError(f"{path}: cannot be written as audio ({reason})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vocoder_runtime", description="Resynthesise a recording from its mel."
    )
    parser.add_argument("model", type=Path, help="what `vocoder export` has written")
    parser.add_argument("input", type=Path, help="audio at the model's sample rate")
    parser.add_argument("output", type=Path, help="audio to write, 16 bits")
    parser.add_argument("--f0-scale", type=float, default=1.0, help="factor on the predicted F0")
    parser.add_argument("--seed", type=_natural, default=0, help="of the noise")
    parser.add_argument("--threads", type=_natural, default=1, help="of ONNX Runtime")
    return parser


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: a whole number, 0 or more, is expected")
    return int(text)


if __name__ == "__main__":
    main()
