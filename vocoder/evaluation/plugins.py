"""User-defined metrics, from a Python file or module."""

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from vocoder.errors import VocoderError
from vocoder.evaluation.metric import Metric
from vocoder.evaluation.registry import BAND_SUFFIX, METRICS
from vocoder.metrics.signals import Signal

_FORM = "write it as path/to/file.py:OBJECT or package.module:OBJECT"
# The other columns of utterances.csv.
_TAKEN = ("system", "utterance", "speaker", "duration_s", "error", "note")


@dataclass(frozen=True)
class PluginMeasure:
    """A user's function in picklable form: each process loads its file again.

    Attributes:
        spec: file or module and object, see `load_metrics`.
        name: of one of its metrics.
        digest: of the file's content, see `source_digest`.
    """

    spec: str
    name: str
    digest: str

    def __call__(self, reference: Signal, estimate: Signal, sample_rate: int) -> object:
        """The function's result."""
        return _load(self.spec)[self.name].measure(reference, estimate, sample_rate)


def load_metrics(spec: str) -> dict[str, Metric]:
    """The metrics defined in a file or module, by column name.

    The file is executed once in every worker process, which must see it under the same path. Its
    folder is not added to the import path: install code of several files, and name it as a module.

    Args:
        spec: `path/to/file.py:OBJECT` or `package.module:OBJECT`, where OBJECT is a dictionary of
            `vocoder.evaluation.metric.Metric` by name.

    Returns:
        The same metrics, with picklable functions.

    Raises:
        VocoderError: invalid form, missing file or object, failing code, or an entry that is no
            valid metric or has a name in use. The message begins with `spec`.
    """
    spec = absolute_spec(spec)
    found = _load(spec)
    # Columns of one function are measured together, under its first name.
    first: dict[Any, str] = {}
    for name, metric in found.items():
        first.setdefault(metric.measure, name)
    return {
        name: replace(
            metric, measure=PluginMeasure(spec, first[metric.measure], source_digest(spec))
        )
        for name, metric in found.items()
    }


def load_plugins(specs: Sequence[str]) -> dict[str, Metric]:
    """The metrics of several files or modules; VocoderError if two of them share a name."""
    metrics: dict[str, Metric] = {}
    for spec in specs:
        for name, metric in load_metrics(spec).items():
            if name in metrics and metrics[name] != metric:
                raise VocoderError(f"{spec}: metric {name!r} is in another plugin too; rename one")
            metrics[name] = metric
    return metrics


@functools.cache
def source_digest(spec: str) -> str:
    """Digest of the content of a plugin's file, or of its module's; "" without a file.

    Files imported or read by the plugin do not count: increase the metric's `version` when they
    change.

    Raises:
        VocoderError: as `load_metrics`.
    """
    _load(spec)
    where, _ = _parts(spec)
    path = where if where.endswith(".py") else getattr(sys.modules[where], "__file__", None)
    if path is None:
        return ""
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()


def absolute_spec(spec: str) -> str:
    """The spec with an absolute path, for processes in another working folder."""
    where, name = _parts(spec)
    return f"{Path(where).expanduser().resolve()}:{name}" if where.endswith(".py") else spec


def _parts(spec: str) -> tuple[str, str]:
    where, _, name = spec.rpartition(":")
    if not (where and name.isidentifier()):
        raise VocoderError(f"metric plugin {spec!r}: {_FORM}")
    return where, name


@functools.cache
def _load(spec: str) -> dict[str, Metric]:
    """The user's dictionary, validated; read once per process."""
    where, name = _parts(spec)
    module = _file_module(Path(where), spec) if where.endswith(".py") else _module(where, spec)
    if not hasattr(module, name):
        raise VocoderError(f"{spec}: there is no {name} in it")
    metrics = getattr(module, name)
    if not isinstance(metrics, Mapping) or not metrics:
        raise VocoderError(f"{spec}: expected a dictionary of metrics by name, got {metrics!r}")
    return {name: _checked(name, metric, spec) for name, metric in metrics.items()}


def _file_module(path: Path, spec: str) -> ModuleType:
    """Execute a file as a module under a unique name."""
    if not path.is_file():
        raise VocoderError(f"{spec}: no such file")
    digest = hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()
    name = f"vocoder_plugin_{re.sub(r'[^0-9a-zA-Z_]', '_', path.stem)}_{digest}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for --json
            found.loader.exec_module(module)
    # The user's code may raise anything, and end the program.
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise VocoderError(f"{spec}: it fails ({type(error).__name__}: {error})") from error
    return module


def _module(name: str, spec: str) -> ModuleType:
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    # As above; usually the module does not exist.
    except (Exception, SystemExit) as error:
        raise VocoderError(
            f"{spec}: it cannot be imported ({type(error).__name__}: {error}); install it or put "
            "its folder into PYTHONPATH, or give the file: path/to/file.py:OBJECT"
        ) from error


def _checked(name: object, metric: object, spec: str) -> Metric:
    """The metric, after checking its name and the type of every field."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise VocoderError(f"{spec}: metric {name!r}: a name is letters, digits and underscores")
    if name in METRICS or name in _TAKEN or name.endswith(BAND_SUFFIX):
        raise VocoderError(f"{spec}: metric {name!r}: the name is taken; choose another")
    if not isinstance(metric, Metric):
        raise VocoderError(
            f"{spec}: metric {name!r}: expected a vocoder.evaluation.metric.Metric, got {metric!r}"
        )
    if not metric.timeout_s > 0:
        raise VocoderError(f"{spec}: metric {name!r}: timeout_s: {metric.timeout_s} is not above 0")
    for field, kind in get_type_hints(Metric).items():
        value = getattr(metric, field)
        try:
            TypeAdapter(kind).validate_python(value, strict=True)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise VocoderError(
                f"{spec}: metric {name!r}: {field}: {said}, got {value!r}"
            ) from error
        if field in ("label", "convention") and len(value.strip().splitlines()) != 1:
            raise VocoderError(f"{spec}: metric {name!r}: {field}: expected one line of text")
    return metric
