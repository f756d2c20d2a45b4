"""Audibility of seams in generation in overlapping pieces.

    python bench/seams.py RUN [--seconds 4] [--target 3072] [--overlaps 256 512 1024]

RUN is a trained WaveRNN (a run or checkpoint folder, or a name that `vocoder.load` knows). The
recordings of egs/tiny/wavs/test are resynthesised whole and in pieces. The output is, for each
overlap, the roughness of the waveform at the seams relative to elsewhere in dB
(`seam_roughness_db`), the level at the seams relative to elsewhere (both relative to the
recording's level at the same positions), and samples per second. The first rows are the reference
without seams: the recording, and the waveform generated whole, at the same positions.
"""

import argparse
import math
import time
from pathlib import Path

import torch

from vocoder.data.audio import read_audio
from vocoder.dsp.seams import seam_roughness_db
from vocoder.loading import load
from vocoder.models.blocks.recurrent import FoldConfig, RecurrentVocoder

TEST = Path(__file__).parents[1] / "egs" / "tiny" / "wavs" / "test"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--target", type=int, default=3072)
    parser.add_argument("--overlaps", type=int, nargs="+", default=[256, 512, 1024])
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load(options.run)
    if not isinstance(model, RecurrentVocoder):
        parser.error(f"{options.run} is a {type(model).__name__}: this measures WaveRNNs")
    recordings = [
        audio.waveform[: int(options.seconds * model.sample_rate)]
        for audio in (read_audio(path, model.sample_rate) for path in sorted(TEST.glob("*.wav")))
    ]
    print("| waveform | overlap | roughness (dB) | level (dB) | samples/s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    plain, speed = _generate(model, recordings, None)
    for overlap in options.overlaps:
        fold = FoldConfig(target=options.target, overlap=overlap)
        folded, folded_speed = _generate(model, recordings, fold)
        for name, made, rate in (
            ("recording", recordings, None),
            ("in one go", plain, speed),
            ("in pieces", folded, folded_speed),
        ):
            _print_row(name, made, recordings, model, fold, rate)


def _generate(
    model: RecurrentVocoder, recordings: list[torch.Tensor], fold: FoldConfig | None
) -> tuple[list[torch.Tensor], float]:
    """Waveforms, and samples per second of CPU time."""
    made, started = [], time.process_time()
    for number, recording in enumerate(recordings):
        frames = len(recording) // model.spec.hop_length
        mel = model.mel(recording)[:, :, :frames]
        generator = torch.Generator().manual_seed(number)
        made.append(model(mel, generator=generator, fold=fold)[0])
    return made, sum(map(len, made)) / (time.process_time() - started)


def _print_row(
    name: str,
    made: list[torch.Tensor],
    recordings: list[torch.Tensor],
    model: RecurrentVocoder,
    fold: FoldConfig,
    speed: float | None,
) -> None:
    roughness, levels = [], []
    for waveform, recording in zip(made, recordings, strict=True):
        seams = model.seams(len(recording) // model.spec.hop_length, fold)
        roughness.append(seam_roughness_db(waveform, seams, fold.overlap))
        levels.append(_level_db(waveform, recording, seams, fold.overlap))
    means = [_mean(roughness), _mean(levels)]
    cells = [name, str(fold.overlap), *(f"{mean:.2f}" for mean in means)]
    print("|", " | ".join([*cells, "" if speed is None else f"{speed:.0f}"]), "|", flush=True)


def _level_db(
    waveform: torch.Tensor, recording: torch.Tensor, seams: torch.Tensor, window: int
) -> float:
    """Gain over the recording at the seams, in dB above the gain elsewhere."""
    samples = min(len(waveform), len(recording))
    at_seams = torch.zeros(samples, dtype=torch.bool)
    for seam in seams:
        at_seams[int(seam) - window // 2 : int(seam) + window // 2] = True
    gains = [
        waveform[:samples][mask].square().sum() / recording[:samples][mask].square().sum()
        for mask in (at_seams, ~at_seams)
    ]
    return float(10 * torch.log10(gains[0] / gains[1]))


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


if __name__ == "__main__":
    main()
