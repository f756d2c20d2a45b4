"""The run-time check of the shapes in the signatures, enabled for all tests.

jaxtyping hands every function of the package to a type checker; this one looks at its array
annotations only. Tests may so pass wrong types on purpose, to see what a user would be told.
"""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin

from jaxtyping import AbstractArray


def check_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function to compare its arrays with their annotations, arguments and result."""
    signature = inspect.signature(function)
    annotations = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if _holds_arrays(parameter.annotation)
    }
    result = signature.return_annotation
    if not annotations and not _holds_arrays(result):
        return function

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        for name, annotation in annotations.items():
            if name in bound.arguments:
                _check(bound.arguments[name], annotation, f"{name} of {function.__qualname__}")
        value = function(*args, **kwargs)
        _check(value, result, f"the result of {function.__qualname__}")
        return value

    return checked


def _is_array(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, AbstractArray)


def _holds_arrays(annotation: Any) -> bool:
    return _is_array(annotation) or any(_holds_arrays(part) for part in get_args(annotation))


def _check(value: Any, annotation: Any, what: str) -> None:
    if _is_array(annotation):
        if hasattr(value, "shape") and not isinstance(value, annotation):
            raise TypeError(f"{what} is {tuple(value.shape)} {value.dtype}, not {annotation}")
    elif get_origin(annotation) is tuple and isinstance(value, tuple):
        parts = get_args(annotation)
        if len(parts) == len(value) and Ellipsis not in parts:
            for position, (item, part) in enumerate(zip(value, parts, strict=True)):
                _check(item, part, f"item {position} of {what}")
    elif get_origin(annotation) in (Union, types.UnionType) and value is not None:
        choices = [part for part in get_args(annotation) if _is_array(part)]
        if len(choices) == 1 and len(get_args(annotation)) == 2:
            _check(value, choices[0], what)
