"""Opens classes of the user's own modules, which a recipe names."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from videoar.cluster.ground.errors import InputError


def plugin_class(field: str, name: str, kind: type) -> Any:
    """The class that `package.module:Class` names. InputError about `field` if there is none, or none of this kind."""
    module_name, colon, class_name = name.partition(":")
    if not colon or not class_name.isidentifier() or not module_name.replace(".", "_").isidentifier():
        raise InputError(field, name, "is not written `package.module:Class`", "name a class")
    try:
        found = getattr(_imported(module_name), class_name)
    except (ImportError, AttributeError) as error:
        remedy = "install it, or put it into the current folder"
        raise InputError(field, name, f"cannot be imported ({error})", remedy) from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        remedy = f"derive it from {kind.__module__}.{kind.__name__}"
        raise InputError(field, name, f"is not a {kind.__name__}", remedy)
    return found


def _imported(name: str) -> ModuleType:
    """A module that is installed, or else in the current folder, which stays the last place that is looked at."""
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    return importlib.import_module(name)
