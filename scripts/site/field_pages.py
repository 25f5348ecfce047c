"""The page of every field that a recipe has: the dataclasses of its tree, each once."""

from __future__ import annotations

import inspect
from typing import get_args, get_origin

from docstrings import from_docstring
from fields import definitions, fields_of, parts_of

from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.pretrain.config import Recipe

_INTRODUCTION = """# Every field

A recipe is a tree of these values. Each field is a line in a file (`videoar config RECIPE` prints one) and an option of
every command that takes a RECIPE: its path with dots, and hyphens for underscores. NAME is the name of a stage or a
dataset, or its number from 0:

```bash
videoar train debug --run runs/wide --model.width 128 --stages.video.steps 12 --parallel.recompute full
```
"""


def field_pages() -> dict[str, str]:
    """Markdown by the page's place below docs/."""
    generator, tokenizer = tree(Recipe), tree(TokenizerRecipe)
    parts = [_INTRODUCTION, "## Of a generator's recipe\n", *(_section(path, cls) for cls, path in generator.items())]
    own = {cls: path for cls, path in tokenizer.items() if cls not in generator}
    return {"fields.md": "\n".join([*parts, "## Of a tokenizer's recipe\n", *(_section(p, c) for c, p in own.items())])}


def field_anchors() -> dict[str, str]:
    """Place and anchor of each field by its dotted path; of a generator's recipe, where both kinds have one."""
    trees = {cls: path for root in (TokenizerRecipe, Recipe) for cls, path in tree(root).items()}
    return {
        f"{path}.{field.name}": f"fields.md#{cls.__name__.lower()}.{field.name}"
        for cls, path in trees.items()
        if path
        for field in fields_of(cls)
    }


def tree(root: type) -> dict[type, str]:
    """The dataclasses below a recipe with the path of their first place, in the order in which they are found."""
    found = {root: ""}
    for cls in (queue := [root]):
        for field in fields_of(cls):
            path = ".".join(filter(None, (found[cls], field.name))) + _item(field.kind)
            for part in parts_of(field.kind):
                if part not in found:
                    found[part] = path
                    queue.append(part)
    return found


def _item(kind: object) -> str:
    return ".NAME" if get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis else ""


def _section(path: str, cls: type) -> str:
    title = f"`{path}`" if path else "At the top"
    text = from_docstring(inspect.getdoc(cls) or "")
    body = definitions(fields_of(cls), prefix=f"{cls.__name__.lower()}.")
    return f"### {title} {{ #{cls.__name__.lower()} }}\n\n{text}\n{body}"
