"""`videoar data text`: encode the captions of prepared datasets once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, for_pretraining, parse_with_recipe, typed_as
from videoar.cluster.cli.commands.data.urls import Output, output_url
from videoar.cluster.cli.output import say_facts


@dataclass(frozen=True, kw_only=True)
class TextOfData:
    """Encode every caption of prepared datasets with a frozen T5, on the GPU if there is one; rerunning resumes.

    For recipes with model.text.kind=t5. The states are written next to each dataset, in URL/DATASET/text, once per
    caption; training reads them without the encoder. Prints the encoder's hash for each dataset (JSON lines if they do
    not go to a terminal).
    """

    recipe: RecipeName
    """Name in configs/, or path of a YAML or Python file."""
    output: Output = None
    """Folder or fsspec URL that `videoar data run` wrote; data.url of the recipe if not given."""
    encoder: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of the T5 encoder; model.text.path of the recipe if not given."""
    json: bool = False
    """Print JSON on a terminal, too."""


def text(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(TextOfData, words, prog)
    recipe = for_pretraining(named)
    if options.encoder is not None:
        changed = replace(recipe.model.text, path=str(options.encoder))
        recipe = replace(recipe, model=replace(recipe.model, text=changed))
    url = output_url(recipe, options.output)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.data import prepare_text

    with ProgressLine("captions") as line:
        with typed_as(**{"path": "encoder"} if options.encoder else {}):
            hashes = prepare_text(recipe, url, lambda done, total: line(done, total, {}))
    for name, encoder_hash in hashes.items():
        say_facts({"dataset": name, "encoder_hash": encoder_hash}, asked_json=options.json)
    return 0
