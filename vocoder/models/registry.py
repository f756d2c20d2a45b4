"""The one table of models: name → configuration, class, source, mel.

A name of the form ``module:Class`` stands for a model outside the table, see
`vocoder.models.outside`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple, Protocol, Union, cast

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
)
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from vocoder.config import Config
from vocoder.errors import VocoderError, one_line, suggestion
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.models.base import Vocoder
from vocoder.models.ddsp import DDSP, DDSPConfig
from vocoder.models.hifigan import HiFiGAN, HiFiGANConfig
from vocoder.models.istftnet import ISTFTNet, ISTFTNetConfig
from vocoder.models.nsf import NSF, NSFConfig
from vocoder.models.outside import OutsideModelError, is_outside, outside_class
from vocoder.models.parallel_wavenet import ParallelWaveNet, ParallelWaveNetConfig
from vocoder.models.source_filter import SourceFilter, SourceFilterConfig
from vocoder.models.vocos import Vocos, VocosConfig
from vocoder.models.waveflow import WaveFlow, WaveFlowConfig
from vocoder.models.waveglow import WaveGlow, WaveGlowConfig
from vocoder.models.wavenet import WaveNet, WaveNetConfig
from vocoder.models.wavernn import WaveRNN, WaveRNNConfig
from vocoder.models.wavernn_dual import DualWaveRNN, DualWaveRNNConfig

MOST_SIZE = 2**16
"""Largest number in a configuration: channels, layers, kernels, bins."""
MOST_WEIGHTS, MOST_TENSORS = 10**9, 20_000


class ModelEntry(NamedTuple):
    """One row.

    Attributes:
        config: of the model; its defaults are the sizes of the paper.
        model: what it configures.
        source: the papers, those of the variant that the defaults follow last.
        mel: name of the preset that the paper, or the code beside it, comes nearest to.
    """

    config: type[Config]
    model: type[Vocoder]
    source: str
    mel: str

    def build(self) -> Vocoder:
        """The model at the paper's size with fresh weights."""
        model: Any = self.model
        return cast(Vocoder, model(self.config(), PRESETS[self.mel]))


MODELS = {
    "source_filter": ModelEntry(SourceFilterConfig, SourceFilter, "this project", "speecht5_16k"),
    "wavenet": ModelEntry(WaveNetConfig, WaveNet, "arXiv 1609.03499, 1712.05884", "r9y9_22k"),
    "parallel_wavenet": ModelEntry(
        ParallelWaveNetConfig, ParallelWaveNet, "arXiv 1711.10433, 1807.07281", "hifigan_22k"
    ),
    "wavernn": ModelEntry(WaveRNNConfig, WaveRNN, "arXiv 1802.08435", "hifigan_22k"),
    "wavernn_dual": ModelEntry(DualWaveRNNConfig, DualWaveRNN, "arXiv 1802.08435", "hifigan_22k"),
    "waveflow": ModelEntry(WaveFlowConfig, WaveFlow, "arXiv 1912.01219", "hifigan_22k"),
    "waveglow": ModelEntry(WaveGlowConfig, WaveGlow, "arXiv 1811.00002", "hifigan_22k"),
    "nsf": ModelEntry(NSFConfig, NSF, "arXiv 1904.12088, 1908.10256", "hifigan_22k"),
    "ddsp": ModelEntry(DDSPConfig, DDSP, "arXiv 2001.04643", "hifigan_22k"),
    "hifigan": ModelEntry(HiFiGANConfig, HiFiGAN, "arXiv 2010.05646", "hifigan_22k"),
    "istftnet": ModelEntry(ISTFTNetConfig, ISTFTNet, "arXiv 2203.02395", "hifigan_22k"),
    "vocos": ModelEntry(VocosConfig, Vocos, "arXiv 2306.00814", "vocos_24k"),
}

# Made of the table, so that a model is added by its row alone; types know no such union.
_ROWS: Any = Annotated[
    Union[tuple(entry.config for entry in MODELS.values())],  # noqa: UP007
    Field(discriminator="name"),
]
_BUILT_IN: TypeAdapter[Any] = TypeAdapter(_ROWS)


def config_class(name: str) -> type[Config]:
    """What configures the model of this name.

    Raises:
        KeyError: no row of the table.
        OutsideModelError: a name ``module:Class`` that cannot be used.
    """
    if is_outside(name):
        return cast(type[Config], cast(Any, outside_class(name)).Config)
    return MODELS[name].config


def refused_name(name: str, reason: OutsideModelError, *section: str) -> ValidationError:
    """The validation error about a model's name, at the field ``name`` of a section."""
    location = (*section, "name")
    return ValidationError.from_exception_data(
        "model",
        [{"type": "value_error", "loc": location, "input": name, "ctx": {"error": reason}}],
    )


def _configuration(value: Any) -> Config:
    """The configuration that the values' ``name`` asks for, of the table or outside it."""
    name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
    if name is not None and not isinstance(name, str):
        raise ValueError("name: the name of a model is needed, see `vocoder info --models`")
    if name is None or not is_outside(name):
        built_in = cast(Config, _BUILT_IN.validate_python(value))
        check_sizes(built_in.model_dump(), "model")
        return built_in
    try:
        config = config_class(name)
    except OutsideModelError as error:
        raise refused_name(name, error) from error
    return config.model_validate(value)


def check_sizes(values: Any, where: str) -> None:
    """Raise ValueError if a number of a configuration is larger than any network's sizes."""
    if isinstance(values, dict | tuple | list):
        items = values.items() if isinstance(values, dict) else enumerate(values)
        for name, value in items:
            check_sizes(value, f"{where}.{name}")
    elif isinstance(values, int | float) and not abs(values) <= MOST_SIZE:
        raise ValueError(f"{where} is larger than {MOST_SIZE}, which no network has")


class NamedConfig(Protocol):
    """The configuration of any model: its ``name`` picks the class."""

    @property
    def name(self) -> str:
        """A key of :data:`MODELS`, or ``module:Class``."""


ModelConfig = Annotated[NamedConfig, PlainValidator(_configuration), SerializeAsAny()]
"""The section ``model`` of a recipe and of a checkpoint's description."""


def preset_or_fields(value: Any) -> Any:
    """The fields of a mel; a preset name stands for those of the preset."""
    if isinstance(value, str):
        if value not in PRESETS:
            raise ValueError(f"no mel preset {value!r}{suggestion(value, list(PRESETS))}")
        return PRESETS[value]
    return value


NamedMel = Annotated[MelSpec, BeforeValidator(preset_or_fields)]
"""A mel given by its fields or by the name of a preset."""


@contextmanager
def _bounded(name: str) -> Iterator[None]:
    """Stop the construction of a network that is larger than any, before it fills the memory."""
    weights = tensors = 0

    def count(module: nn.Module, parameter_name: str, parameter: nn.Parameter | None) -> None:
        nonlocal weights, tensors
        weights += 0 if parameter is None else parameter.numel()
        tensors += 1
        if weights > MOST_WEIGHTS or tensors > MOST_TENSORS:
            raise MemoryError(f"more than {MOST_WEIGHTS} weights or {MOST_TENSORS} layers")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except (MemoryError, OverflowError, RuntimeError, ValueError) as error:
        raise VocoderError(
            f"model: {name} of these sizes cannot be built ({one_line(error)}); change its sizes "
            "or its mel"
        ) from error
    finally:
        hook.remove()


class ModelDescription(Config):
    """All that decides which model a file of weights belongs to.

    Fields:
        mel: what the model takes.
        model: its configuration; ``name`` picks the row of :data:`MODELS`, or names a class
            outside the package.
    """

    mel: NamedMel
    model: ModelConfig

    def build(self) -> Vocoder:
        """The model with fresh weights, from PyTorch's current random state.

        Raises:
            VocoderError: sizes that do not fit together or into memory, or a model outside the
                package that does not keep its configuration.
        """
        name = self.model.name
        # A configuration and its class belong together, which a table of types cannot express.
        model: Any = outside_class(name) if is_outside(name) else MODELS[name].model
        with _bounded(name):
            vocoder = model(self.model, self.mel)
        if getattr(vocoder, "config", None) != self.model:
            raise VocoderError(
                f"{name}: its attribute `config` is not the configuration it was built from, which "
                "checkpoints describe it by; set `self.config = config` in __init__"
            )
        return cast(Vocoder, vocoder)
