"""Finds recipes by name, in a Python file, or in a YAML file, such as the one that a run saved."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import videoar.configs
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import MAX_BYTES, from_dict, parse_yaml, to_yaml
from videoar.cluster.ground.files import write_atomically
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.pretrain.config import Recipe

AnyRecipe = Recipe | TokenizerRecipe

PYTHON = ".py"
SUFFIXES = (".yaml", ".yml", PYTHON)


def find_recipe(name: str) -> AnyRecipe:
    """The recipe of a name in configs/ (`debug`), of a name and a number of devices (`t2v_4b@64`), or of the path of a
    YAML file, or of a Python file with a function `recipe()`."""
    if name.endswith(PYTHON):
        return _run(Path(name))
    if is_path(name):
        return load_recipe(Path(name))
    name, at, gpus = name.partition("@")
    module = _module(name)
    recipe: AnyRecipe = module.recipe(**_layout(name, gpus)) if at else module.recipe()
    return recipe


def is_path(name: str) -> bool:
    """Whether a word is the path of a recipe's file and not a name in configs/."""
    return name.endswith(SUFFIXES) or "/" in name


def layout_counts(name: str) -> tuple[int, ...]:
    """The numbers of devices that a recipe in configs/ has layouts for; empty if one layout serves all."""
    return tuple(getattr(_module(name), "LAYOUTS", ()))


def _layout(name: str, gpus: str) -> dict[str, int]:
    """The argument of `recipe()` for the number in NAME@GPUS."""
    known = [str(count) for count in layout_counts(name)]
    if not known:
        raise InputError("RECIPE", f"{name}@{gpus}", "has one layout for any number of devices", f"write {name}")
    if gpus not in known:
        choices = ", ".join(f"{name}@{count}" for count in known)
        raise InputError("RECIPE", f"{name}@{gpus}", "is not a layout of this recipe", f"use one of: {choices}")
    return {"gpus": int(gpus)}


def _module(name: str) -> ModuleType:
    if name not in _modules():
        close = difflib.get_close_matches(name, recipe_names(), n=3)
        every = f"use one of: {', '.join(recipe_names())} (`videoar config` describes each)"
        remedy = f"did you mean {' or '.join(close)}?" if close else every
        raise InputError("RECIPE", name, "is not a recipe in configs/, or a .yaml or .py file", remedy)
    module = importlib.import_module(f"{videoar.configs.__name__}.{name}")
    if not hasattr(module, "recipe"):
        raise InputError("RECIPE", name, "is not a recipe", f"use one of: {', '.join(recipe_names())}")
    return module


def recipe_names() -> tuple[str, ...]:
    """Every module of configs/ that has a `recipe()`."""
    package = videoar.configs.__name__
    return tuple(name for name in _modules() if hasattr(importlib.import_module(f"{package}.{name}"), "recipe"))


def _run(path: Path) -> AnyRecipe:
    """The recipe that the function `recipe()` of a Python file returns. The file may import modules next to it."""
    if not path.is_file():
        raise InputError("RECIPE", path, "is not a file", "give a name in configs/ or the path of a .yaml or .py file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, "recipe", None)):
            raise InputError("RECIPE", path, "has no function recipe()", "define one that returns a Recipe")
        recipe = module.recipe()
    except (ImportError, SyntaxError) as error:
        raise InputError("RECIPE", path, f"cannot be run: {error}", "correct the file") from error
    finally:
        sys.path.remove(folder)
    if not isinstance(recipe, AnyRecipe):
        raise InputError("RECIPE", path, f"returns a {type(recipe).__name__}", "let recipe() return a Recipe")
    return recipe


def load_recipe(path: Path) -> AnyRecipe:
    """The recipe in a file, saved or written by hand; for a folder, in its config.yaml."""
    file = path / "config.yaml" if path.is_dir() else path
    if not file.is_file():
        raise InputError("RECIPE", path, "is not a file", "give a name in configs/ or the path of a .yaml or .py file")
    if file.stat().st_size > MAX_BYTES:
        raise InputError("RECIPE", path, f"is longer than {MAX_BYTES} bytes", "give a recipe")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError("RECIPE", path, "is not UTF-8 text", "give a YAML file") from error
    fields = parse_yaml(text, str(file))
    if "clips" in fields:
        return from_dict(TokenizerRecipe, fields, str(file))
    return from_dict(Recipe, fields, str(file))


def save_recipe(recipe: AnyRecipe, path: Path) -> None:
    """Write the resolved recipe next to its results; `load_recipe` returns an equal value."""
    write_atomically(path, to_yaml(recipe))


def _modules() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(videoar.configs.__path__))
