"""Folders of recordings through a vocoder, whole or not at all."""

from pathlib import Path

from vocoder.data.files import replacing_folder
from vocoder.errors import VocoderError
from vocoder.evaluation.resynthesis import output_paths, resynthesise_files
from vocoder.models.base import Vocoder
from vocoder.models.waveform import WaveVocoder


def resynthesise_folder(vocoder: Vocoder | WaveVocoder, recordings: Path, output: Path) -> None:
    """What `vocoder resynth` does; the folder appears when all of its files are there.

    Raises:
        VocoderError: a file could not be made; the first reason is given.
    """
    with replacing_folder(output) as fresh:
        targets, failed = output_paths([recordings], fresh)
        made = [*failed, *resynthesise_files(vocoder, targets)]
        if problems := [result for result in made if result.error]:
            raise VocoderError(f"{problems[0].source}: {problems[0].error}")
