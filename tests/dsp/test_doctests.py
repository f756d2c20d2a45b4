"""The examples in the docstrings are run; every public function has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import vocoder.dsp

MODULES = [
    module.name
    for module in pkgutil.walk_packages(vocoder.dsp.__path__, "vocoder.dsp.")
    if not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name):
    module = importlib.import_module(name)
    functions = [
        function
        for function_name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not function_name.startswith("_")
    ]
    assert functions
    lacking = [f.__name__ for f in functions if ">>>" not in (inspect.getdoc(f) or "")]
    assert lacking == []
