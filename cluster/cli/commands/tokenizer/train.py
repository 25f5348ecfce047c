"""`videoar tokenizer train`: train a tokenizer from a recipe, in one or several processes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, flag_words, for_a_tokenizer, parse_with_recipe
from videoar.cluster.cli.output import say
from videoar.cluster.ground.fields.limits import Limits

if TYPE_CHECKING:
    from videoar.cluster.ground.process import World
    from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe

_MEET_WITHIN_S = 600.0
_ANSWER_WITHIN_S = 3600.0
"""Seconds that processes wait for each other: the others wait while the first one saves and makes reconstructions."""


@dataclass(frozen=True, kw_only=True)
class TrainTokenizer:
    """Train a tokenizer from a recipe; rerunning the command resumes.

    RUN gets config.yaml, metrics.jsonl, checkpoints, logs/ with what libraries log, and the weights in RUN/tokenizer.
    Any field of the recipe can be overridden: `videoar tokenizer train RECIPE --train.steps 1000`.

    Several processes share each batch and give the results of one. Exit codes: 0 done, 1 failed, 2 wrong input, 75
    saved after a signal (run it again).
    """

    recipe: RecipeName
    """Name in configs/, or path of a YAML or Python file."""
    run: Annotated[Path | None, arg(metavar="PATH")] = None
    """Folder of the run; runs/NAME of the recipe if not given."""
    processes: Annotated[int, Limits(1, 4096)] = 1
    """Number of processes to start on this machine: one for each GPU. They share the batch, which must be a multiple of
    their number. Leave it out under torchrun, and where srun starts every process."""


def train(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.cli.commands.tokenizer.start_checks import check_start
    from videoar.cluster.ground.process import World
    from videoar.cluster.ground.processes.launch import starts_processes
    from videoar.tokenizer.training.peers import check_shares

    options, named, flags = parse_with_recipe(TrainTokenizer, words, prog)
    recipe, world, machines = for_a_tokenizer(named), World.here(), World.of_machines()
    starts, run = starts_processes(options.processes), options.run or Path("runs") / recipe.name
    check_shares(recipe.train, options.processes * machines.world_size if starts else world.world_size)
    check_start(run, recipe)
    if starts:
        words = [options.recipe, "--run", str(run), *flag_words(flags)]
        return _launch(words, options.processes, run, machines, recipe.train.steps)
    return _train_here(recipe, run, world)


def _launch(words: Sequence[str], processes: int, run: Path, machines: World, steps: int) -> int:
    """Start the processes of this machine; their exit code."""
    from videoar.cluster.ground.processes.launch import launch
    from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, Preempted
    from videoar.tokenizer.training.checkpoint import saved_folders
    from videoar.tokenizer.training.train import STOP_WITHIN_S

    code = launch(["tokenizer", "train", *words], processes, run, STOP_WITHIN_S, machines)
    if code == EXIT_PREEMPTED:
        saved = saved_folders(run)
        step = f"step {int(saved[-1].name.removeprefix('step-'))} of {steps}" if saved else ""
        raise Preempted(f"{step} is saved in {run}" if saved else f"nothing is saved yet in {run}")
    return code


def _train_here(recipe: TokenizerRecipe, run: Path, world: World) -> int:
    """Train in this process, with those of its world."""
    import torch

    from videoar.cluster.cli.commands.tokenizer.start_checks import recorded
    from videoar.cluster.ground.fields.serialize import to_dict
    from videoar.cluster.ground.library_log import libraries_logged, process_log
    from videoar.cluster.ground.process import mark_preempted
    from videoar.cluster.ground.processes.preemption import Preempted
    from videoar.data_pipeline.tokenizer_clips.batches import open_random_clips
    from videoar.pretrain.parallel.cpu import device_of, host_group, join
    from videoar.pretrain.record.reconstructions import Reconstructions
    from videoar.pretrain.record.tokenizer_reporter import TokenizerReporter
    from videoar.pretrain.run_folder import sole_writer
    from videoar.pretrain.start.opening_line import device_words
    from videoar.tokenizer.training.peers import Peers
    from videoar.tokenizer.training.same_settings import WEIGHTS
    from videoar.tokenizer.training.train import train as train_tokenizer

    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    device, peers = device_of(world.local_rank), Peers()
    if world.world_size > 1:
        join(world, device, _MEET_WITHIN_S, _ANSWER_WITHIN_S)
        peers = Peers(rank=world.rank, size=world.world_size, host=host_group(_ANSWER_WITHIN_S))
    devices = peers.gather(device_words(device))
    try:
        with libraries_logged(process_log(run, world.rank)), open_random_clips(recipe) as clips, ExitStack() as ours:
            reporter = show = None
            if world.is_first:
                ours.enter_context(sole_writer(run))
                ours.enter_context(recorded(run, recipe))
                logging.getLogger(__name__).info("%s", _opening_line(recipe, run, devices))
                reporter = TokenizerReporter(run, recipe.log, to_dict(recipe), recipe.train.save_every)
                ours.enter_context(reporter)
                show = Reconstructions(clips, recipe.train, run, reporter=reporter)
            train_tokenizer(
                recipe.tokenizer, recipe.train, clips, run, device=device, peers=peers, progress=reporter, show=show
            )
    except Preempted:
        mark_preempted(run)
        raise
    if world.is_first:
        say(str(run / WEIGHTS))
    return 0


def _opening_line(recipe: TokenizerRecipe, run: Path, devices: Sequence[str]) -> str:
    """The line before the first step, as of a generator's training; `devices` are those of the processes."""
    import torch

    from videoar.pretrain.config import ParallelConfig
    from videoar.pretrain.start.opening_line import cut_words, in_a_line
    from videoar.tokenizer import VideoTokenizer
    from videoar.tokenizer.training.checkpoint import saved_step

    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in VideoTokenizer(recipe.tokenizer).parameters())
    cut, train = cut_words(ParallelConfig(), len(devices)), recipe.train
    return in_a_line(recipe.name, cut, devices, train.precision, count, saved_step(run), train.steps)
