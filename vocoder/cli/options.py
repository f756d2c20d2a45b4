"""Options shared by several command groups."""

from typing import TYPE_CHECKING, Annotated

import typer

from vocoder.errors import VocoderError

if TYPE_CHECKING:
    from vocoder.models.base import Vocoder
    from vocoder.models.waveform import WaveVocoder

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
ModelName = Annotated[
    str,
    typer.Option(help="A model's name, a checkpoint folder or a training run; see `vocoder info`."),
]


def require_mel(vocoder: "Vocoder | WaveVocoder", model: str) -> "Vocoder":
    """The vocoder named ``model``, for commands that measure mel → waveform.

    Raises:
        VocoderError: the model analyses the waveform itself, as WORLD and LPC do.
    """
    from vocoder.models.base import Vocoder

    if not isinstance(vocoder, Vocoder):
        raise VocoderError(f"{model}: takes a waveform, not a mel; choose a model that takes a mel")
    return vocoder
