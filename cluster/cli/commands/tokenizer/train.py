"""`videoar tokenizer train`: train a tokenizer from a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, for_a_tokenizer, parse_with_recipe
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder, check_run_folder

if TYPE_CHECKING:
    from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe


CONFIG = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class TrainTokenizer:
    """Train a tokenizer from a recipe; rerunning the command resumes.

    RUN gets config.yaml, metrics.jsonl, checkpoints, and the weights in RUN/tokenizer. Any field of the recipe can be
    overridden: `videoar tokenizer train RECIPE --train.steps 1000`.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    run: Annotated[Path | None, arg(metavar="PATH")] = None
    """Folder of the run; runs/NAME of the recipe if not given."""


def train(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(TrainTokenizer, words, prog)
    recipe = for_a_tokenizer(named)
    import torch

    from videoar.cluster.ground.progress import ProgressLine
    from videoar.configs.load import save_recipe
    from videoar.data_pipeline.tokenizer_clips.batches import open_random_clips
    from videoar.tokenizer.training.train import WEIGHTS
    from videoar.tokenizer.training.train import train as train_tokenizer

    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    run = options.run or Path("runs") / recipe.name
    _check_run(run, recipe)
    run.mkdir(parents=True, exist_ok=True)
    save_recipe(recipe, run / CONFIG)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with open_random_clips(recipe) as clips, ProgressLine("tokenizer") as progress:
        train_tokenizer(recipe.tokenizer, recipe.train, clips, run, device=device, progress=progress)
    say(str(run / WEIGHTS))
    return 0


def _check_run(run: Path, recipe: TokenizerRecipe) -> None:
    """InputError, with nothing written, unless the folder is new or that of a run with these settings."""
    from videoar.configs.load import load_recipe
    from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
    from videoar.tokenizer.training.checkpoint import check_settings
    from videoar.tokenizer.training.train import OWN, has_saved

    check_folder("run", run)
    check_run_folder(run, (CONFIG, *OWN), CONFIG)
    if not (run / CONFIG).exists():
        return
    before = load_recipe(run / CONFIG)
    if not isinstance(before, TokenizerRecipe):
        raise InputError("run", run, "is a run of a generator", "give another --run")
    if check_settings(recipe.tokenizer, recipe.train, run) is None and has_saved(run, before.train.save_every):
        raise InputError(
            "run",
            run,
            "has saved checkpoints, and they are gone",
            "restore them; to begin anew, give another --run, or remove metrics.jsonl and tokenizer/",
        )
