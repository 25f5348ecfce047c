"""The recipes in configs/, as one chooses among them: what each trains, what it needs, what it costs."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from videoar.cluster.ground.errors import InputError
from videoar.configs.load import find_recipe, recipe_names
from videoar.pretrain.config import Recipe

_NEXT = re.compile(r"\n(?=\n|[A-Z][\w ]*:(?:\s|$))")
"""Where a part of a docstring ends: at an empty line, or where a line begins with another label."""


def recipe_list() -> str:
    """A paragraph for each recipe, those of tokenizers last."""
    names = sorted(recipe_names(), key=lambda name: (name.startswith("tokenizer"), name))
    return "\n".join("\n".join(_about(name)) for name in names)


def _about(name: str) -> Iterator[str]:
    docstring = importlib.import_module(f"videoar.configs.{name}").__doc__ or ""
    yield f"{name}: {docstring.splitlines()[0]}"
    yield f"    needs  {_part(docstring, 'Needs')[0] if 'Needs:' in docstring else _sources(name)}"
    first, *others = _part(docstring, "Cost")
    yield f"    costs  {first}"
    yield from (f"           {line}" for line in others)


def _part(docstring: str, label: str) -> list[str]:
    """The lines of a labelled part of a docstring; wrapped ones are joined."""
    text = _NEXT.split(docstring.split(f"{label}:", 1)[1])[0]
    if text.startswith("\n"):
        return [line.strip() for line in text.strip().splitlines()]
    return [" ".join(text.split()).rstrip(":")]


def _sources(name: str) -> str:
    """The clips of a recipe whose docstring asks for nothing."""
    try:
        recipe = find_recipe(name)
    except InputError as error:  # clips that are in a package
        return f"{error.value}, which {error.problem}: {error.remedy}"
    parts = recipe.data.datasets if isinstance(recipe, Recipe) else recipe.clips
    paths = dict.fromkeys(part.source.path for part in parts if part.source.path)
    return f"clips in {', '.join(paths)}" if paths else "nothing: its clips are drawn"
