"""Runs the examples in the docstrings of the packages; every public DSP function has one."""

import doctest
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import vocoder
import vocoder.dsp
import vocoder_runtime


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """The modules of a package whose source has examples."""
    below = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    for name in (package.__name__, *(module.name for module in below)):
        source = importlib.util.find_spec(name).origin
        if ">>>" in Path(source).read_text(encoding="utf-8"):
            yield importlib.import_module(name)


def test_examples_hold():
    results = {
        module.__name__: doctest.testmod(module)
        for package in (vocoder, vocoder_runtime)
        for module in modules_of(package)
    }
    assert sum(result.attempted for result in results.values()) > 200
    assert [name for name, result in results.items() if result.failed] == []


def public(kind: Callable[[object], bool]) -> Iterator[tuple[str, object]]:
    """Name and object of what the modules of `vocoder.dsp` define."""
    for found in pkgutil.walk_packages(vocoder.dsp.__path__, "vocoder.dsp."):
        module = importlib.import_module(found.name)
        for name, each in inspect.getmembers(module, kind):
            if each.__module__ == module.__name__ and not name.startswith("_"):
                yield name, each


def is_function(each: object) -> bool:
    """Whether it is a function, cached or not."""
    return callable(each) and inspect.isfunction(inspect.unwrap(each))


def test_every_public_function_has_an_example():
    functions = list(public(is_function))
    assert len(functions) > 80
    assert [name for name, each in functions if ">>>" not in (inspect.getdoc(each) or "")] == []


def test_every_public_name_can_be_imported_from_the_package():
    kinds = (is_function, inspect.isclass)
    names = {name for kind in kinds for name, _ in public(kind)}
    assert names == set(vocoder.dsp.__all__)
