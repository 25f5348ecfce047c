"""What `tokenizer train` checks before it writes anything or starts a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder, check_run_folder
from videoar.cluster.ground.watching import WatchConfig
from videoar.configs.load import load_recipe, recipe_names, save_recipe
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.pretrain.record.tensorboard import check_tensorboard
from videoar.tokenizer.files import CONFIG as DESCRIPTION
from videoar.tokenizer.files import find_weights, read_config
from videoar.tokenizer.inflate import check_origin, check_same_bits
from videoar.tokenizer.training.checkpoint import check_settings, saved_folders
from videoar.tokenizer.training.metrics import METRICS
from videoar.tokenizer.training.same_settings import WEIGHTS, check_same, deciding
from videoar.tokenizer.training.train import OWN, has_saved

CONFIG = "config.yaml"


def check_start(run: Path, recipe: TokenizerRecipe) -> None:
    """InputError, with nothing written, if the run cannot start: its folder, or the tokenizer that it begins with."""
    check_tensorboard(recipe.log)
    _check_run(run, recipe)
    if recipe.train.inflate_from and not saved_folders(run):  # a checkpoint needs it no longer
        _check_inflate_from(recipe)


@contextmanager
def recorded(run: Path, recipe: TokenizerRecipe) -> Iterator[None]:
    """Save the recipe in the run while it trains; a finished run keeps the recipe that it has.

    A new run that takes no step because the input is wrong leaves no files.
    """
    is_new = not (run / CONFIG).exists()
    run.mkdir(parents=True, exist_ok=True)
    if not (run / WEIGHTS).exists():
        save_recipe(recipe, run / CONFIG)
    try:
        yield
    except InputError:
        if is_new and not (run / METRICS).exists():
            (run / CONFIG).unlink()
            with suppress(OSError):  # it holds something else
                run.rmdir()
        raise


def _check_run(run: Path, recipe: TokenizerRecipe) -> None:
    """InputError unless the folder is new or that of a run of this recipe."""
    check_folder("run", run)
    check_run_folder(run, (CONFIG, *OWN), CONFIG)
    if not (run / CONFIG).exists():
        return
    before = load_recipe(run / CONFIG)
    if not isinstance(before, TokenizerRecipe):
        raise InputError("run", run, "is a run of a generator", "give another --run")
    saved = check_settings(recipe.tokenizer, recipe.train, run)
    if saved or (run / METRICS).exists() or (run / WEIGHTS).exists():  # else no step was taken: it may be corrected
        check_same(_deciding(before), _deciding(recipe), run)
    if saved is None and has_saved(run, before.train.save_every):
        raise InputError(
            "run",
            run,
            "has saved checkpoints, and they are gone",
            "restore them; to start from scratch, give another --run, or remove metrics.jsonl and tokenizer/",
        )


def _deciding(recipe: TokenizerRecipe) -> TokenizerRecipe:
    """The recipe with defaults in the fields that may change in a run: the others decide its numbers."""
    return replace(recipe, train=deciding(recipe.train), log=WatchConfig(), threads=0, decode_processes=1)


def _check_inflate_from(recipe: TokenizerRecipe) -> None:
    """InputError unless `train.inflate_from` names a tokenizer that exists and fits the recipe."""
    name = recipe.train.inflate_from
    folder = find_weights(name)
    if not (folder / DESCRIPTION).is_file():
        raise InputError("train.inflate_from", name, "is not the folder of a tokenizer", _where_to_get(Path(name)))
    check_origin(recipe.tokenizer, read_config(folder), name)
    if recipe.train.parts == "decoder":
        check_same_bits(recipe.tokenizer, read_config(folder), name)


def _where_to_get(folder: Path) -> str:
    """The remedy: the tokenizer in a run that was named, the recipe that trains it, or another folder."""
    if (folder / WEIGHTS / DESCRIPTION).is_file():
        return f"did you mean {folder / WEIGHTS}?"
    name = folder.parent.name
    if folder == Path("runs") / name / WEIGHTS and name in recipe_names():
        return f"run `videoar tokenizer train {name}` first, or name a folder that it wrote"
    return "give one that `videoar tokenizer train` or `import` wrote: --train.inflate-from DIR"
