"""What decides a function's numbers: the code it is made of, and the packages under it."""

import ast
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

_PACKAGE = "vocoder"


@dataclass(frozen=True)
class Provenance:
    """Equal for two functions, or two installations, only where they compute alike.

    Attributes:
        versions: of every package that the function's module imports, itself or through other
            modules of this package; by import name, "absent" where it is not installed.
        digest: of the source of those modules.
    """

    versions: tuple[tuple[str, str], ...]
    digest: str

    @property
    def text(self) -> str:
        """One line that differs whenever one of the parts does."""
        return " ".join([self.digest, *(f"{name}={number}" for name, number in self.versions)])


@functools.cache
def provenance(function: Callable[..., Any]) -> Provenance:
    """Follow the imports from a function's module through the modules of this package.

    Imports inside functions count; so do those of a user's own module, which is followed into
    other modules beside it. The standard library and constants from data files do not.
    """
    return _provenance(_source_of(function))


def package_versions(functions: Iterable[Callable[..., Any]]) -> dict[str, str]:
    """Versions of the installed packages under any of these functions, and of this one."""
    found = {_PACKAGE: _version(_PACKAGE)}
    for function in functions:
        found |= dict(provenance(function).versions)
    return {name: found[name] for name in sorted(found) if found[name] != "absent"}


@functools.cache
def _provenance(start: Path | None) -> Provenance:
    digest = hashlib.blake2b(digest_size=16)
    packages: set[str] = set()
    waiting, seen = [] if start is None else [start], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in _imports(path):
            package = name.split(".")[0]
            if package in sys.stdlib_module_names:
                continue
            if _is_installed(package):
                packages.add(package)
            elif (source := _module_source(name)) is not None:
                waiting.append(source)
    # Sorted by content: where a file lies does not matter.
    for content in sorted(path.read_bytes() for path in seen):
        digest.update(hashlib.blake2b(content).digest())
    versions = tuple((name, _version(name)) for name in sorted(packages))
    return Provenance(versions, digest.hexdigest())


def _source_of(function: Callable[..., Any]) -> Path | None:
    """The file of a function, of the class of a callable object, or None if it has no source."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not (inspect.isroutine(function) or inspect.isclass(function)):
        function = type(function)
    try:
        source = inspect.getsourcefile(function)
    except TypeError:
        return None
    return None if source is None else Path(source)


def _imports(path: Path) -> Iterator[str]:
    """Dotted names of the modules that a source file imports anywhere in it.

    Nothing is imported for it: to look inside an installed package would be to load it.
    """
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if _is_installed(node.module.split(".")[0]):
                yield node.module
                continue
            # "from package import name" takes a module or something out of the package itself.
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inside if _module_source(name) is not None]
            yield from modules
            if len(modules) < len(inside):
                yield node.module


@functools.cache
def _module_source(name: str) -> Path | None:
    """The .py file of a module of ours or of the user's; the packages above it are imported."""
    parent = name.rpartition(".")[0]
    if parent and (source := _module_source(parent)) is not None and source.name != "__init__.py":
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


@functools.cache
def _is_installed(package: str) -> bool:
    """Whether an import name is no module whose source is to be followed: of us or of the user."""
    if package == _PACKAGE:
        return False
    if importlib.util.find_spec(package) is None:
        return True
    source = _module_source(package)
    return source is None or not {"site-packages", "dist-packages"}.isdisjoint(source.parts)


@functools.cache
def _version(package: str) -> str:
    """Version of what an import name stands for.

    Most distributions have the name of what they install. The few that have another one, such as
    Praat's, are imported and asked: to look through all that is installed would take a second.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        pass
    try:
        number = getattr(importlib.import_module(package), "__version__", None)
    except ImportError:
        return "absent"
    if number is not None:
        return str(number)
    distributions = packages_distributions().get(package)
    return version(distributions[0]) if distributions else "unknown"
