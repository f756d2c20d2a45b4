"""Options shared by several command groups."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocoder.errors import MelError, VocoderError

if TYPE_CHECKING:
    from vocoder.features.mel import MelSpec
    from vocoder.models.base import Vocoder
    from vocoder.models.waveform import WaveVocoder

MOST_SEED = 2**63 - 1
SeedOption = Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of the noise.")]
ThreadsOption = Annotated[int, typer.Option(min=1, max=1024, help="Threads of torch.")]
DeviceOption = Annotated[str, typer.Option(help="Of torch, for the networks: cpu or cuda.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
ModelName = Annotated[
    str,
    typer.Option(help="A model's name, a checkpoint folder or a training run; see `vocoder info`."),
]

MelName = Annotated[
    str | None,
    typer.Option(
        "--mel",
        help="Preset of the mel, or its YAML file, of universal models; default: their own.",
    ),
]
FormantScale = Annotated[
    float, typer.Option(min=0.5, max=2, help="Factor on the formants' frequencies.")
]
BreathDb = Annotated[
    float, typer.Option(min=-40, max=40, help="Gain of the breath within voice, in dB.")
]


def load_for_mel(
    model: str, mel: str | None, option: str = "--mel", device: str = "cpu"
) -> "Vocoder | WaveVocoder":
    """The vocoder named ``model``, for a mel (`mel_of`) if one is given by ``option``.

    Raises:
        VocoderError: no such model, mel or device, or the model does not serve that mel.
    """
    from vocoder.loading import load

    vocoder = load(model, device)
    if mel is None:
        return vocoder
    try:
        return require_mel(vocoder, model).for_mel(mel_of(mel))
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


def mel_of(name: str) -> "MelSpec":
    """The mel that an option names: a preset, or a YAML file with the fields of a `MelSpec`, by
    themselves or under ``mel``, as in recipes and in the model.yaml of a checkpoint.

    Raises:
        MelError: no such preset or file, or a field that is unknown or wrong.
    """
    from pydantic import ValidationError

    from vocoder.features.mel import MelSpec, named_mel
    from vocoder.reading import parse_yaml, read_text

    if Path(name).suffix.lower() not in (".yaml", ".yml"):
        return named_mel(name)
    fields, _ = parse_yaml(read_text(Path(name), MelError), name, MelError)
    if isinstance(fields, dict) and "mel" in fields:
        fields = fields["mel"]
    if isinstance(fields, str):
        return named_mel(fields)
    try:
        return MelSpec.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise MelError(f"{name}: {where}{first['msg']}; see the fields of MelSpec") from error
