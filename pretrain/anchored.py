"""Folders that a recipe names by a relative path: a run keeps them so that they are found from any folder."""

from __future__ import annotations

import os
from dataclasses import replace

from videoar.pretrain.config import Recipe


def anchored(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths of its data, tokenizer and text encoder, as the working folder resolves them."""
    data, text = recipe.data, recipe.model.text
    data = replace(
        data, url=_absolute(data.url), tokenizer=replace(data.tokenizer, path=_absolute(data.tokenizer.path))
    )
    return replace(recipe, data=data, model=replace(recipe.model, text=replace(text, path=_absolute(text.path))))


def _absolute(path: str) -> str:
    is_local = path and "://" not in path and "::" not in path
    return os.path.abspath(path) if is_local else path
