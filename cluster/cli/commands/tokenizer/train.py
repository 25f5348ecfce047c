"""`videoar tokenizer train`: train a tokenizer from a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, for_a_tokenizer, make_folder, parse_with_recipe
from videoar.cluster.cli.output import say


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
    from videoar.data_pipeline.sources.random_clips import open_random_clips
    from videoar.tokenizer.train import WEIGHTS
    from videoar.tokenizer.train import train as train_tokenizer

    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    run = make_folder("run", options.run or Path("runs") / recipe.name)
    save_recipe(recipe, run / "config.yaml")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with ProgressLine("tokenizer") as progress:
        clips = open_random_clips(recipe)
        train_tokenizer(recipe.tokenizer, recipe.train, clips, run, device=device, progress=progress)
    say(str(run / WEIGHTS))
    return 0
