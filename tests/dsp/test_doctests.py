"""Runs the examples in the docstrings of the packages; every public DSP function has one."""

import doctest
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
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


def test_every_public_function_has_an_example():
    lacking = []
    for found in pkgutil.walk_packages(vocoder.dsp.__path__, "vocoder.dsp."):
        module = importlib.import_module(found.name)
        lacking += [
            f"{module.__name__}.{name}"
            for name, function in inspect.getmembers(module, inspect.isfunction)
            if function.__module__ == module.__name__
            and not name.startswith("_")
            and ">>>" not in (inspect.getdoc(function) or "")
        ]
    assert lacking == []
