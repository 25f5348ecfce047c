"""The list of the recipes in configs/: what each trains, what it needs, what it costs."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from videoar.cluster.ground.errors import InputError
from videoar.configs.load import find_recipe, recipe_names
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.pretrain.config import Recipe
from videoar.tokenizer.files import shipped_names

_NEXT = re.compile(r"\n(?=\n|[A-Z][\w ]*:(?:\s|$))")
"""Where a part of a docstring ends: at an empty line, or where a line begins with another label."""


_KINDS = {
    "folder": "clips",
    "table": "clips of the table",
    "webdataset": "tars",
    "ucf101": "UCF-101 with its split files",
    "plugin": "what a plug-in lists",
}
"""What is at the path of a source."""


def recipe_list() -> str:
    """A paragraph for each recipe, those of tokenizers last."""
    names = sorted(recipe_names(), key=lambda name: (name.startswith("tokenizer"), name))
    return "\n".join("\n".join(_about(name)) for name in names)


def _about(name: str) -> Iterator[str]:
    docstring = importlib.import_module(f"videoar.configs.{name}").__doc__ or ""
    yield f"{name}: {docstring.splitlines()[0]}"
    yield f"    needs  {_needs(name)}"
    first, *others = _part(docstring, "Cost")
    yield f"    costs  {first}"
    yield from (f"           {line}" for line in others)


def _part(docstring: str, label: str) -> list[str]:
    """The lines of a labelled part of a docstring; wrapped ones are joined."""
    text = _NEXT.split(docstring.split(f"{label}:", 1)[1])[0]
    if text.startswith("\n"):
        return [line.strip() for line in text.strip().splitlines()]
    return [" ".join(text.split()).rstrip(":")]


def _needs(name: str) -> str:
    """What must exist before a recipe can be trained, read from its fields."""
    try:
        recipe = find_recipe(name)
    except InputError as error:  # clips that are in a package
        return f"{error.value}, which {error.problem}: {error.remedy}"
    found = _of_a_generator(recipe) if isinstance(recipe, Recipe) else _of_a_tokenizer(recipe)
    return "; ".join(dict.fromkeys(found)) or "nothing: its clips are drawn"


def _of_a_generator(recipe: Recipe) -> Iterator[str]:
    text, tokenizer = recipe.model.text, recipe.tokenizer
    sources = [part.source for part in recipe.data.datasets]
    yield from _clips(sources, captions=text.kind != "label")
    if tokenizer.path and tokenizer.path not in shipped_names():
        yield f"the tokenizer of {recipe.model.latent_dim} bits in {tokenizer.path}"
    elif not tokenizer.path and not all(source.is_drawn for source in sources):  # for drawings, noise is good enough
        yield f"a trained tokenizer of {recipe.model.latent_dim} bits (--data.tokenizer.path)"
    if text.kind == "t5":
        yield f"the folder of a T5 encoder with {text.width} numbers a state (`videoar data text --encoder`)"


def _of_a_tokenizer(recipe: TokenizerRecipe) -> Iterator[str]:
    yield from _clips([part.source for part in recipe.clips], captions=False)
    origin, loss = recipe.train.inflate_from, recipe.train.loss
    if origin and origin not in shipped_names():
        yield f"the tokenizer in {origin}{_made_by(origin)}"
    if loss.perceptual and loss.perceptual_weights:
        yield f"files of a perceptual distance: {', '.join(loss.perceptual_weights)}"


def _clips(sources: Sequence[SourceConfig], *, captions: bool) -> Iterator[str]:
    """The places of clips, by kind; a folder's captions are next to the clips, or in a table."""
    of_kind: dict[str, list[str]] = {}
    for one in sources:
        if not one.is_drawn:
            said = " with captions" if captions and one.kind != "ucf101" else ""
            table = f" ({one.captions})" if said and one.captions else ""
            of_kind.setdefault(f"{_KINDS[one.kind]}{said}{table} in", []).append(one.path)
    yield from (f"{words} {', '.join(dict.fromkeys(paths))}" for words, paths in of_kind.items())


def _made_by(folder: str) -> str:
    name = Path(folder).parent.name
    return f", which `videoar tokenizer train {name}` makes" if name in recipe_names() else ""
