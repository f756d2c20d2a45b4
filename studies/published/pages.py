"""Descriptions of the authors' demo pages: one typed YAML file per page."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from vocoder.config import Config
from vocoder.errors import VocoderError
from vocoder.features.mel import PRESETS

PAGES = Path(__file__).parent / "pages"
RECORDING = "recording"

Heard = Literal["yes", "partly", "no", "not stated"]


class Repository(Config):
    """A public Git repository at one commit.

    Fields:
        name: "owner/name" as GitHub has it.
        commit: 40 hexadecimal digits.
        branch: the branch of the commit, if not the default one.
    """

    name: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    branch: str | None = None


class Quoted(Config):
    """A number and its source.

    Fields:
        value: in the unit of the containing field.
        source: paper, table or file; or "counted: …" with the configuration that was counted.
    """

    value: float = Field(gt=0)
    source: str = Field(min_length=3)


class Published(Config):
    """One vocoder of a page, as its authors trained it.

    Fields:
        label: name in tables.
        architecture: including the size, independent of the team: systems of one architecture are
            pooled over the pages.
        family: "autoregressive", "flow", "GAN", … for the colours of the picture.
        paper: arXiv number, venue and year, or repository.
        path: of an utterance's file in the repository; "{key}" stands for the utterance's key.
        repository: if not the page's.
        heard_speaker: whether the speakers were in the training data; None: as for the page.
        mel: known facts about its input features.
        parameters_m: millions of parameters.
        gmac_per_second: 10⁹ multiply-accumulates per second of audio.
        note: remark for the table.
    """

    label: str
    architecture: str = Field(min_length=1)
    family: Literal["autoregressive", "flow", "GAN", "source-filter", "flow matching", "classical"]
    paper: str
    path: str
    repository: Repository | None = None
    heard_speaker: Heard | None = None
    mel: str = "not stated"
    parameters_m: Quoted | None = None
    gmac_per_second: Quoted | None = None
    note: str = ""

    @property
    def size(self) -> tuple[float | None, float | None]:
        """Millions of parameters and 10⁹ multiply-accumulates per second; None if unknown."""
        known = (self.parameters_m, self.gmac_per_second)
        parameters, gmac = (None if quoted is None else quoted.value for quoted in known)
        return parameters, gmac

    @field_validator("path")
    @classmethod
    def _has_key(cls, path: str) -> str:
        if "{key}" not in path or not path.endswith(".wav"):
            raise ValueError("a path to a .wav with {key} in it is needed")
        return path


class PublishedFile(NamedTuple):
    """One file of a page: system, utterance, repository and path."""

    system: str
    utterance: str
    repository: Repository
    path: str


class Page(Config):
    """A page: recordings, and their resynthesis by several vocoders.

    Fields:
        title: heading of its table.
        url: of the demo page.
        repository: of the page.
        corpus: of the recordings.
        sample_rate: of the published recordings, Hz.
        heard_speaker: whether the speakers were in the training data.
        mel_preset: the preset nearest to the mel of most of the page's vocoders; used for
            Griffin-Lim.
        recording: path of an utterance's recording, as `Published.path`.
        utterances: key in the paths by the utterance's name here.
        systems: by folder name, in the order of the table.
        note: remark for the table.
    """

    title: str
    url: str
    repository: Repository
    corpus: str
    sample_rate: int = Field(ge=8000, le=48000)
    heard_speaker: Heard
    mel_preset: str
    recording: str
    utterances: dict[str, str] = Field(min_length=1)
    systems: dict[str, Published] = Field(min_length=1)
    note: str = ""

    @field_validator("mel_preset")
    @classmethod
    def _is_preset(cls, name: str) -> str:
        if name not in PRESETS:
            raise ValueError(f"no mel preset; there are: {', '.join(PRESETS)}")
        return name

    @model_validator(mode="after")
    def _names(self) -> "Page":
        if RECORDING in self.systems:
            raise ValueError(f"a system called {RECORDING}: its path is the field of that name")
        return self

    def files(self) -> Iterator[PublishedFile]:
        """Every file of the page, recordings first."""
        for utterance, key in self.utterances.items():
            path = self.recording.replace("{key}", key)
            yield PublishedFile(RECORDING, utterance, self.repository, path)
        for name, system in self.systems.items():
            repository = system.repository or self.repository
            for utterance, key in self.utterances.items():
                yield PublishedFile(name, utterance, repository, system.path.replace("{key}", key))

    @cached_property
    def labels(self) -> dict[str, str]:
        """Labels of the systems by name."""
        return {name: system.label for name, system in self.systems.items()}


def read_page(path: Path) -> Page:
    """One page.

    Raises:
        VocoderError: the file cannot be read, or a field is invalid; the message names both.
    """
    try:
        return Page.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise VocoderError(f"{path}: not a readable page ({error})") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        raise VocoderError(f"{path}: {problems}") from error


def read_pages(folder: Path = PAGES) -> dict[str, Page]:
    """All pages by the names of their files."""
    return {path.stem: read_page(path) for path in sorted(folder.glob("*.yaml"))}
