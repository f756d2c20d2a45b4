"""Atomic resynthesis of folders of recordings."""

from pathlib import Path

from vocoder.data.files import replacing_folder
from vocoder.errors import VocoderError
from vocoder.evaluation.resynthesis import output_paths, resynthesise_files
from vocoder.models.base import Vocoder
from vocoder.models.waveform import WaveVocoder


def resynthesise_folder(vocoder: Vocoder | WaveVocoder, recordings: Path, output: Path) -> None:
    """As `vocoder resynth`; the folder appears when all of its files are complete.

    Raises:
        VocoderError: a file failed; the message has the first reason.
    """
    with replacing_folder(output) as fresh:
        targets, failed = output_paths([recordings], fresh)
        made = [*failed, *resynthesise_files(vocoder, targets)]
        if problems := [result for result in made if result.error]:
            raise VocoderError(f"{problems[0].source}: {problems[0].error}")
