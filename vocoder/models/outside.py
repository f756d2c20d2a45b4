"""Models outside this package, named ``module:Class`` in a recipe or in a checkpoint.

Using such a name imports the module, and importing runs its code, as any ``import`` does. The
module must be installed or lie in ``PYTHONPATH``: a checkpoint holds no code, only the name.

The class is a :class:`vocoder.models.base.Vocoder` that is called as ``Class(config, spec)`` and
keeps ``self.config = config``. Its attribute ``Config`` is the class of its configuration, with a
field ``name``. Its attribute ``objective``, which only training reads, names what it is trained
for.
"""

import importlib

from vocoder.config import Config
from vocoder.models.base import Vocoder


class OutsideModelError(ValueError):
    """A name ``module:Class`` that cannot be used; the message does not repeat the name."""


def is_outside(name: str) -> bool:
    """Whether a model's name is ``module:Class``.

    >>> is_outside("my_package.my_model:MyVocoder"), is_outside("vocos")
    (True, False)
    """
    return ":" in name


def outside_class(name: str) -> type[Vocoder]:
    """The class that ``module:Class`` names; imports the module.

    Raises:
        OutsideModelError: no such module, one that fails, no such class, or one that is no model.
    """
    module_name, _, class_name = name.partition(":")
    if not (class_name.isidentifier() and all(map(str.isidentifier, module_name.split(".")))):
        raise OutsideModelError(
            "a model outside the package is written my_package.my_model:MyVocoder"
        )
    try:
        module = importlib.import_module(module_name)
    # The user's code may raise anything.
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(
            f"{error.name}."
        ):
            hint = "install it or put its folder into PYTHONPATH"
        else:
            hint = f"`python -c 'import {module_name}'` shows where"
        raise OutsideModelError(
            f"module {module_name} cannot be imported ({said}); {hint}"
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        raise OutsideModelError(
            f"module {module_name} ({module.__file__}) has no class {class_name}"
        )
    if not (isinstance(found, type) and issubclass(found, Vocoder)):
        raise OutsideModelError(f"{class_name} is no subclass of vocoder.models.base.Vocoder")
    config = getattr(found, "Config", None)
    if not (isinstance(config, type) and issubclass(config, Config)):
        raise OutsideModelError(
            f"{class_name}.Config must be a subclass of vocoder.config.Config; add `Config = "
            f"{class_name}Config` to the class"
        )
    if "name" not in config.model_fields:
        raise OutsideModelError(f"{config.__name__} has no field `name`; add `name: str`")
    return found
