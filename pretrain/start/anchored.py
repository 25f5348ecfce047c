"""Makes relative paths in a recipe absolute, so that its run finds these folders from any working folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from videoar.pretrain.config import Recipe
from videoar.tokenizer.files import find_weights


def anchored(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths of its data, tokenizer and text encoder, resolved from the working folder.

    The name of a tokenizer that ships with the package stays a name.
    """
    data, text, tokenizer = recipe.data, recipe.model.text, recipe.data.tokenizer
    if find_weights(tokenizer.path) == Path(tokenizer.path):
        tokenizer = replace(tokenizer, path=_absolute(tokenizer.path))
    data = replace(data, url=_absolute(data.url), tokenizer=tokenizer)
    return replace(recipe, data=data, model=replace(recipe.model, text=replace(text, path=_absolute(text.path))))


def _absolute(path: str) -> str:
    """The absolute path if it exists; URLs and paths that do not exist are returned unchanged."""
    return os.path.abspath(path) if path and os.path.exists(path) else path
