"""Which URL a data command works on, and one exit code for all datasets below it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import for_pretraining
from videoar.cluster.cli.output import complain
from videoar.cluster.ground.errors import InputError

if TYPE_CHECKING:
    from videoar.pretrain.config import Recipe

Output = Annotated[str | None, arg(metavar="URL")]
Prepared = Positional[Annotated[str, arg(metavar="URL")]]


def output_url(recipe: Recipe, given: str | None) -> str:
    """The URL given with --output, otherwise data.url of the recipe."""
    url = given or recipe.data.url
    if not url:
        raise InputError("output", "''", "is not given, and data.url of the recipe is empty", "add --output URL")
    return url


def each_dataset(target: str, work: Callable[[str], bool]) -> int:
    """The exit code over all datasets of a target: 1 if `work` returns False for one, 2 if one cannot be read."""
    from videoar.data_pipeline.preparing.verify import find_datasets

    code = 0
    for url in find_datasets(_prepared(target)):
        try:
            code = max(code, 0 if work(url) else 1)
        except InputError as error:
            complain(error)
            code = 2
    return code


def _prepared(target: str) -> str:
    """A URL or folder as it is; for the name of a recipe, its data.url."""
    from videoar.configs.load import SUFFIXES, find_recipe

    if ("/" in target and not target.endswith(SUFFIXES)) or Path(target).is_dir():
        return target

    recipe = for_pretraining(find_recipe(target))
    if not recipe.data.url:
        raise InputError("URL", target, "is a recipe that names no shards (data.url is empty)", "give a folder or URL")
    return recipe.data.url
