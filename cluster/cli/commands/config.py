"""`videoar config`: show a resolved recipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, parse_with_recipe
from videoar.cluster.cli.output import say
from videoar.cluster.cli.recipe_diff import recipe_diff
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import as_option, with_names


@dataclass(frozen=True, kw_only=True)
class Config:
    """Show the resolved recipe as YAML; with --diff, the fields in which two recipes differ.

    Without RECIPE: every recipe in configs/, with what it needs and costs.

    RECIPE is a name in configs/ (`debug`), with a number of devices if it has several layouts (`t2v_4b@64`),
    or the path of a saved config.yaml. Any field can be overridden:
    `videoar config debug --model.width 128 --stages.video.steps 4`; `videoar config debug --help` lists them all.
    """

    recipe: RecipeName = ""
    """Name in configs/, or path of a YAML or Python file; all are listed if not given."""
    diff: Annotated[str | None, arg(metavar="OTHER")] = None
    """Another recipe: print only the fields that differ, as `field: RECIPE -> OTHER`."""
    overrides: bool = False
    """Print each field as the option that sets it."""


def config(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.ground.fields.serialize import leaves, to_yaml
    from videoar.configs.load import find_recipe

    if "--budget" in words:
        raise InputError("budget", True, "is not an option: costs have a command", "run `videoar plan RECIPE`")
    if not words:
        from videoar.cluster.cli.recipe_list import recipe_list

        say(recipe_list())
        return 0
    options, recipe, _ = parse_with_recipe(Config, words, prog)
    if options.diff is not None and options.overrides:
        raise InputError("overrides", True, "has no effect with --diff", "give one of them")
    if options.diff is not None:
        for line in recipe_diff(recipe, find_recipe(options.diff)):
            say(line)
    elif options.overrides:
        for path, _, value in leaves(recipe):
            say(as_option(with_names(recipe, path), value))
    else:
        sys.stdout.write(to_yaml(recipe))
    return 0
