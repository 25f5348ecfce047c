"""`videoar data text`: the states of captions, once and for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, for_pretraining, parse_with_recipe, say
from videoar.cluster.ground.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TextOfData:
    """Encode every caption of prepared datasets by a frozen T5, on the GPU if there is one; again goes on.

    For recipes with model.text.kind=t5. The states lie beside each dataset, in URL/DATASET/text, a caption once, and
    training reads them without the encoder. One JSON line a dataset, with the encoder's hash.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    output: Annotated[str | None, arg(metavar="URL")] = None
    """Folder or fsspec URL that `videoar data run` wrote; data.url of the recipe where not given."""
    encoder: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of the encoder; model.text.path of the recipe where not given."""


def text(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(TextOfData, words, prog)
    recipe = for_pretraining(named)
    if options.encoder is not None:
        changed = replace(recipe.model.text, path=str(options.encoder))
        recipe = replace(recipe, model=replace(recipe.model, text=changed))
    url = options.output or recipe.data.url
    if not url:
        raise InputError("output", "''", "is not given, and data.url of the recipe is empty", "add --output URL")
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.data import prepare_text

    with ProgressLine("captions") as line:
        hashes = prepare_text(recipe, url, lambda done, total: line(done, total, {}))
    for name, encoder_hash in hashes.items():
        say(json.dumps({"dataset": name, "encoder_hash": encoder_hash}))
    return 0
