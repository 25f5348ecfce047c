"""A page for each recipe in configs/: what its docstring says, its data, what it costs, and every field."""

from __future__ import annotations

import importlib
import math
import re

from docstrings import from_docstring, table

from videoar.cluster.ground.serialize import to_yaml
from videoar.configs.load import AnyRecipe, find_recipe, layout_counts, recipe_names
from videoar.pretrain.budget.budget import Budget, budget
from videoar.pretrain.budget.report import amount, duration, gigabytes
from videoar.pretrain.config import Recipe

_MACHINE = 8
"""Devices in one machine."""
_LABEL = re.compile(
    r"^(From the paper|Our choice where the paper says nothing|Should reach|Needs|Cost|Held out|What to expect):",
    re.MULTILINE,
)
"""Words with which a paragraph of a recipe's docstring begins."""
_PARTS = ("weights", "gradients", "optimizer", "ema", "activations", "attention", "total")


def recipe_pages() -> dict[str, str]:
    """Markdown by the page's place below docs/."""
    return {f"recipes/{name}.md": _page(name) for name in recipe_names()}


def _page(name: str) -> str:
    recipe = find_recipe(name)
    docstring = importlib.import_module(f"videoar.configs.{name}").__doc__ or ""
    parts = [f"# {name}\n", from_docstring(_LABEL.sub(r"\n**\1:**", docstring))]
    if isinstance(recipe, Recipe):
        parts += ["## Data\n", _data(recipe), "## Stages\n", _stages(recipe), "## Budget\n", *_budgets(name, recipe)]
    parts += ["## Resolved\n", *(_folded(variant, find_recipe(variant)) for variant in _variants(name))]
    return "\n".join(parts)


def _variants(name: str) -> list[str]:
    return [f"{name}@{count}" for count in layout_counts(name)] or [name]


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


def _shape(bucket: object) -> str:
    return f"{bucket.num_frames} x {bucket.schedule}"  # type: ignore[attr-defined]


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


def _budgets(name: str, recipe: Recipe) -> list[str]:
    """Cost and memory under each layout that the recipe has."""
    counts = layout_counts(name) or (_devices(recipe),)
    found = [budget(find_recipe(variant), gpus=n) for variant, n in zip(_variants(name), counts, strict=True)]
    return [
        f"By arithmetic, assuming {found[0].mfu:.0%} of an {found[0].gpu}'s peak; nothing here is measured "
        f"([how](../recipes.md#how-a-budget-is-made)). Parameters: {found[0].parameters / 1e6:,.1f} M. "
        f"A checkpoint has {gigabytes(found[0].checkpoint_bytes)}.\n",
        _cost(found[0]),
        *(
            f"Memory of the fullest of {item.gpus} {'processes' if item.gpus > 1 else 'process'}, in GB; "
            f"all steps take {duration(item.hours)}:\n\n{_memory(item)}"
            for item in found
        ),
    ]


def _devices(recipe: Recipe) -> int:
    """As many devices as can share the batch, at most those of a machine."""
    cut = max(recipe.parallel_of(stage).model_processes for stage in recipe.stages)
    return cut * math.gcd(max(1, _MACHINE // cut), *(stage.batch for stage in recipe.stages))


def _cost(found: Budget) -> str:
    rows = [
        (
            f"`{stage.name}`",
            amount(stage.whole.samples),
            amount(stage.whole.tokens),
            f"{stage.whole.flops:.2e}",
            f"{stage.gpu_hours:,.{0 if stage.gpu_hours >= 10 else 3}f}",
            f"{stage.fill:.1%}",
        )
        for stage in found.stages
    ]
    return table(("Stage", "Samples", "Tokens", "FLOPs", f"{found.gpu}-hours", "Packs full"), rows)


def _memory(found: Budget) -> str:
    rows = [
        (f"`{stage.name}`", *(f"{getattr(stage.memory, part) / 1e9:,.2f}" for part in _PARTS)) for stage in found.stages
    ]
    return table(("Stage", *_PARTS), rows)


def _folded(name: str, recipe: AnyRecipe) -> str:
    lines = _portable(to_yaml(recipe)).splitlines()
    body = "\n".join(f"    {line}".rstrip() for line in ["```yaml", *lines, "```"])
    return f'??? note "`videoar config {name}`"\n\n{body}\n'


def _portable(text: str) -> str:
    """Without the folders of the machine that builds the pages."""
    package = str(importlib.import_module("videoar.configs").__path__[0]).removesuffix("/configs")
    return re.sub(r"/\S*/site-packages", "SITE-PACKAGES", text).replace(package, "videoar")
