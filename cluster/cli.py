"""The commands of `videoar`: each a dataclass whose fields are its options, and a call of the package that does it.

Heavy packages are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from tyro.conf import Positional, arg

from videoar.cluster.arguments import HELP, parse, show_fields, split_own
from videoar.cluster.errors import InputError
from videoar.cluster.overrides import Flags, differences, override

if TYPE_CHECKING:
    from videoar.configs.load import AnyRecipe
    from videoar.configs.tokenizer_recipe import TokenizerRecipe
    from videoar.pretrain.config import Recipe

Command = TypeVar("Command")

RecipeName = Positional[Annotated[str, arg(metavar="RECIPE")]]
RunFolder = Positional[Annotated[Path, arg(metavar="RUN")]]
OutFolder = Positional[Annotated[Path, arg(metavar="OUT")]]
Weights = Positional[Annotated[Path, arg(metavar="WEIGHTS")]]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Show the resolved recipe as YAML; with --diff, the fields in which two recipes differ.

    RECIPE is a name in configs/ (`debug`) or the path of a saved config.yaml. Any field can be overridden:
    `videoar config debug --model.width 128 --stages.video.steps 4`; `videoar config debug --help` lists them all.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    diff: Annotated[str | None, arg(metavar="OTHER")] = None
    """Another recipe: print only the fields that differ, as `field: RECIPE -> OTHER`."""
    overrides: bool = False
    """Print each field as the option that sets it."""


def config(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.serialize import leaves, to_yaml
    from videoar.configs.load import find_recipe

    options, recipe, _ = parse_with_recipe(Config, words, prog)
    if options.diff is not None:
        for path, (ours, theirs) in differences(recipe, find_recipe(options.diff)).items():
            _say(f"{path}: {ours} -> {theirs}")
    elif options.overrides:
        for path, _, value in leaves(recipe):
            _say(f"--{path.replace('_', '-')} {_as_words(value)}")
    else:
        sys.stdout.write(to_yaml(recipe))
    return 0


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a generator through every stage of a recipe; the same command again resumes.

    RUN gets config.yaml, environment.json, metrics.jsonl and checkpoints/. A recipe that names no shards prepares
    them under RUN/data first. Any field can be overridden, `videoar train RECIPE --help` lists them all:

    `videoar train debug --processes 2 --parallel.tensor 2 --stages.video.steps 4`

    Exit codes: 0 done, 1 failed, 2 wrong input, 75 saved after a signal (run it again).
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    run: Annotated[Path | None, arg(metavar="PATH")] = None
    """Folder of the run; runs/NAME of the recipe where not given."""
    processes: int = 1
    """Processes to start on this machine, by torchrun; under an outer torchrun leave it out."""


def train(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.preemption import Preempted
    from videoar.cluster.process import PREEMPTED_MARKER, World, launch

    options, recipe, flags = parse_with_recipe(Train, words, prog)
    recipe, world = _for_pretraining(recipe), World.here()
    run = options.run or Path("runs") / recipe.name
    if options.processes < 1 or (options.processes > 1 and world.world_size > 1):
        raise InputError(
            "processes", options.processes, f"cannot be started here, where WORLD_SIZE is {world.world_size}",
            "give 1 or more, and leave it out under torchrun",
        )  # fmt: skip
    if options.processes > 1:
        return launch(["train", options.recipe, "--run", str(run), *_flag_words(flags)], options.processes, run)
    from videoar.pretrain.train import train as train_recipe

    try:
        train_recipe(recipe, run, world)
    except Preempted:
        (run / PREEMPTED_MARKER).touch()
        raise
    return 0


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what this machine can do: each line ok, warn or fail, with the remedy. Exit code 1 if anything fails."""

    json: bool = False
    """One JSON object a line, for scripts."""


def doctor(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.doctor import as_json, as_text, examine

    options = parse(Doctor, words, prog)
    findings = examine()
    for finding in findings:
        _say(as_json(finding) if options.json else as_text(finding))
    return 1 if any(finding.state == "fail" for finding in findings) else 0


def parse_with_recipe(command: type[Command], words: Sequence[str], prog: str) -> tuple[Command, AnyRecipe, Flags]:
    """The command's options, the recipe it names with fields overridden, and the flags that did so.

    `--help` after the recipe's name shows the command's options and then every field of the recipe.
    """
    from videoar.cluster.arguments import own_flags
    from videoar.configs.load import find_recipe

    own, flags = split_own(command, words)
    if any(word in HELP for word in words):
        _help_with_recipe(command, own[:1], prog)
    options = parse(command, own, prog)
    recipe = find_recipe(options.recipe)  # type: ignore[attr-defined]
    return options, override(recipe, flags, own_flags(command)), flags


def _help_with_recipe(command: type, recipe: Sequence[str], prog: str) -> None:
    """Print the help and leave with SystemExit(0)."""
    from videoar.configs.load import find_recipe

    if recipe and not recipe[0].startswith("-"):
        show_fields(find_recipe(recipe[0]), f"{prog} {recipe[0]}")
    parse(command, ["--help"], prog)


def _for_pretraining(recipe: AnyRecipe) -> Recipe:
    from videoar.pretrain.config import Recipe

    if not isinstance(recipe, Recipe):
        raise InputError("RECIPE", recipe.name, "trains a tokenizer", "run `videoar tokenizer train` with it")
    return recipe


def _for_a_tokenizer(recipe: AnyRecipe) -> TokenizerRecipe:
    from videoar.configs.tokenizer_recipe import TokenizerRecipe

    if not isinstance(recipe, TokenizerRecipe):
        raise InputError("RECIPE", recipe.name, "trains a generator", "run `videoar train` with it")
    return recipe


def _flag_words(flags: Flags) -> list[str]:
    return [word for flag, values in flags.items() for word in (f"--{flag}", *values)]


def _as_words(value: Any) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
