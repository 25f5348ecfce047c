"""A page for each recipe in configs/: what its docstring says, its data, what it costs, and every field."""

from __future__ import annotations

import importlib
import re

from cost_tables import costs, variants
from docstrings import from_docstring, table

from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.configs.load import AnyRecipe, find_recipe, recipe_names
from videoar.pretrain.config import Recipe
from videoar.tokenizer.config import ClipBucket

_LABEL = re.compile(
    r"^(From the paper|Our choice where the paper says nothing|Should reach|Needs|Cost|Held out|What to expect):",
    re.MULTILINE,
)
"""Words with which a paragraph of a recipe's docstring begins."""


def recipe_pages() -> dict[str, str]:
    """Markdown by the page's place below docs/."""
    return {f"recipes/{name}.md": _page(name) for name in recipe_names()}


def _page(name: str) -> str:
    recipe = find_recipe(name)
    docstring = importlib.import_module(f"videoar.configs.{name}").__doc__ or ""
    parts = [f"# {name}\n", from_docstring(_LABEL.sub(r"\n**\1:**", docstring))]
    if isinstance(recipe, Recipe):
        parts += ["## Data\n", _data(recipe), "## Stages\n", _stages(recipe), "## Budget\n", *costs(name, recipe)]
    parts += ["## Resolved\n", *(_folded(variant, find_recipe(variant)) for variant in variants(name))]
    return "\n".join(parts)


def _data(recipe: Recipe) -> str:
    rows = [
        (f"`{item.name}`", item.source.kind, _place(item.source.path), _shape(item.bucket), f"{item.bucket.fps:g}")
        for item in recipe.data.datasets
    ]
    tokenizer = recipe.data.tokenizer
    weights = f"`{tokenizer.path}`" if tokenizer.path else f"the untrained preset `{tokenizer.preset}`"
    text = recipe.model.text
    held = ", ".join(f"`{name}`" for name in recipe.log.validation)
    return "\n".join(
        [
            table(("Dataset", "Kind", "Path", "Frames x pixels", "fps"), rows),
            f"Tokenizer: {weights}, {recipe.model.latent_dim} bits per token. Text: `{text.kind}`.",
            f"Held out for validation: {held}.\n" if held else "",
        ]
    )


def _shape(bucket: ClipBucket) -> str:
    return f"{bucket.num_frames} x {bucket.schedule}"


def _place(path: str) -> str:
    return f"`{_portable(path)}`" if path else "drawn"


def _stages(recipe: Recipe) -> str:
    rows = [
        (
            f"`{stage.name}`",
            " + ".join(f"{part.weight:g} `{part.dataset}`" for part in stage.mixture),
            f"{stage.steps:,}",
            f"{stage.batch} x {stage.tokens_per_pack:,}",
            f"{stage.learning_rate:g}",
        )
        for stage in recipe.stages
    ]
    return table(("Stage", "Mixture", "Steps", "Packs x tokens", "Learning rate"), rows)


def _folded(name: str, recipe: AnyRecipe) -> str:
    lines = _portable(to_yaml(recipe)).splitlines()
    body = "\n".join(f"    {line}".rstrip() for line in ["```yaml", *lines, "```"])
    return f'??? note "`videoar config {name}`"\n\n{body}\n'


def _portable(text: str) -> str:
    """Without the folders of the machine that builds the pages."""
    package = str(importlib.import_module("videoar.configs").__path__[0]).removesuffix("/configs")
    return re.sub(r"/\S*/site-packages", "SITE-PACKAGES", text).replace(package, "videoar")
