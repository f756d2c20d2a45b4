"""Options shared by several command groups."""

from typing import TYPE_CHECKING, Annotated

import typer

from vocoder.errors import MelError, VocoderError

if TYPE_CHECKING:
    from vocoder.models.base import Vocoder
    from vocoder.models.waveform import WaveVocoder

MOST_SEED = 2**63 - 1
SeedOption = Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of the noise.")]
ThreadsOption = Annotated[int, typer.Option(min=1, max=1024, help="Threads of torch.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
ModelName = Annotated[
    str,
    typer.Option(help="A model's name, a checkpoint folder or a training run; see `vocoder info`."),
]

MelName = Annotated[
    str | None,
    typer.Option("--mel", help="Preset of the mel, of universal models; default: the model's."),
]
FormantScale = Annotated[
    float, typer.Option(min=0.5, max=2, help="Factor on the formants' frequencies.")
]
BreathDb = Annotated[
    float, typer.Option(min=-40, max=40, help="Gain of the breath within voice, in dB.")
]


def load_for_mel(model: str, mel: str | None, option: str = "--mel") -> "Vocoder | WaveVocoder":
    """The vocoder named ``model``, for the mel preset of that name if one is given by ``option``.

    Raises:
        VocoderError: no such model or preset, or the model does not serve that mel.
    """
    from vocoder.loading import load

    vocoder = load(model)
    if mel is None:
        return vocoder
    try:
        return require_mel(vocoder, model).for_mel(mel)
    except MelError as error:
        raise MelError(f"{option} {mel}: {model}: {error}") from error


def require_mel(vocoder: "Vocoder | WaveVocoder", model: str) -> "Vocoder":
    """The vocoder named ``model``, for commands that measure mel → waveform.

    Raises:
        VocoderError: the model analyses the waveform itself, as WORLD and LPC do.
    """
    from vocoder.models.base import Vocoder

    if not isinstance(vocoder, Vocoder):
        raise VocoderError(f"{model}: takes a waveform, not a mel; choose a model that takes a mel")
    return vocoder
