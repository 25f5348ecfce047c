"""Recipes by name, or read back from the file that a run saved."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from pathlib import Path

import videoar.configs
from videoar.cluster.errors import InputError
from videoar.cluster.serialize import MAX_BYTES, from_dict, parse_yaml, to_yaml
from videoar.data_pipeline.config import TokenizerRecipe
from videoar.pretrain.config import Recipe

AnyRecipe = Recipe | TokenizerRecipe

SUFFIXES = (".yaml", ".yml")


def find_recipe(name: str) -> AnyRecipe:
    """The recipe that a person means: a name in configs/ (`debug`) or the path of a saved YAML file."""
    if name.endswith(SUFFIXES) or "/" in name:
        return load_recipe(Path(name))
    if name not in _modules():
        close = ", ".join(difflib.get_close_matches(name, recipe_names(), n=3)) or ", ".join(recipe_names())
        raise InputError("RECIPE", name, "is no recipe in configs/ and no .yaml file", f"use one of: {close}")
    module = importlib.import_module(f"{videoar.configs.__name__}.{name}")
    if not hasattr(module, "recipe"):
        raise InputError("RECIPE", name, "is no recipe", f"use one of: {', '.join(recipe_names())}")
    recipe: AnyRecipe = module.recipe()
    return recipe


def recipe_names() -> tuple[str, ...]:
    """Every module of configs/ that has a `recipe()`."""
    package = videoar.configs.__name__
    return tuple(name for name in _modules() if hasattr(importlib.import_module(f"{package}.{name}"), "recipe"))


def load_recipe(path: Path) -> AnyRecipe:
    """The recipe that `save_recipe` wrote, or a person by hand; a folder stands for its config.yaml."""
    file = path / "config.yaml" if path.is_dir() else path
    if not file.is_file():
        raise InputError("RECIPE", path, "is no file", "give a name in configs/ or the path of a saved config.yaml")
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
    """Write the resolved recipe beside what it made; `load_recipe` gives back an equal value."""
    path.write_text(to_yaml(recipe), encoding="utf-8")


def _modules() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(videoar.configs.__path__))
