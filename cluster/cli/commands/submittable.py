"""The commands that can be submitted; their words are checked by their own parsers."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoar.cluster.cli.arguments import for_a_tokenizer, for_pretraining, parse, parse_with_recipe
from videoar.cluster.cli.command_table import COMMANDS
from videoar.cluster.cli.commands.data.urls import output_url
from videoar.cluster.cli.commands.tokenizer.train import TrainTokenizer
from videoar.cluster.cli.commands.train import Train
from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError

if TYPE_CHECKING:
    from videoar.cluster.submit.engine import Check
    from videoar.cluster.submit.job import Job
    from videoar.configs.load import AnyRecipe

_OF_RECIPES = ("train", "data plan", "data run", "data text", "tokenizer train")
SUBMITTABLE = (*_OF_RECIPES, "tokenizer evaluate", *(name for name in COMMANDS if name.startswith("evaluate ")))

_MARGIN_S = 60
"""Seconds for a signal to reach all processes, and for them to exit when they have saved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The options of a job on which the command's words depend."""

    gpus: int = 0
    """GPUs of each machine."""
    nodes: int = 1
    array: int | None = None
    """Jobs that share the work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked(ABC):
    """A command whose words were accepted."""

    command: str
    words: tuple[str, ...]
    title: str
    """Beginning of the job's name."""
    processes: int = 1
    """Processes of each machine."""
    notice_s: int = 120
    """Seconds that the command needs to save after a signal."""

    @abstractmethod
    def checks(self, job: Job, gpu: str | None, *, is_here: bool) -> list[Check]:
        """The checks that need no engine. `is_here`: the job sees the file systems of this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OfRecipe(Checked):
    """A command of a recipe."""

    recipe: AnyRecipe
    output: str = ""
    """Where a data command writes."""

    def checks(self, job: Job, gpu: str | None, *, is_here: bool) -> list[Check]:
        from videoar.cluster.submit.recipe_checks import check_cost, check_plan, check_tokenizer_cost

        if self.command == "train":
            return [partial(check_cost, for_pretraining(self.recipe), job, gpu)]
        if self.command == "tokenizer train":
            return [partial(check_tokenizer_cost, for_a_tokenizer(self.recipe), job, gpu)]
        return [] if job.array is None else [partial(check_plan, for_pretraining(self.recipe), self.output)]


@dataclass(frozen=True, kw_only=True, slots=True)
class OfEvaluation(Checked):
    """A command of `evaluate`, or `tokenizer evaluate`."""

    options: Any

    def checks(self, job: Job, gpu: str | None, *, is_here: bool) -> list[Check]:
        from videoar.cluster.cli.commands.evaluate.ahead import check_files

        return [partial(check_files, self.options, job.array, is_here=is_here)]


def check_words(command: str, given: Sequence[str], flags: Sequence[str], asked: Asked) -> Checked:
    """The words that `videoar COMMAND` will get in the job: what is `given` before its flags, and the flags.

    InputError for words that the command would refuse, such as a wrong field.
    """
    if command not in SUBMITTABLE:
        raise InputError("command", command, "cannot be submitted", f"use one of: {', '.join(SUBMITTABLE)}")
    for word in (*given, *flags):
        refuse_credentials("arguments", word)
    if command in _OF_RECIPES:
        return _of_recipe(command, (*given, *flags), asked)
    return _of_evaluation(command, (*given, *flags), given, asked)


def _of_evaluation(command: str, words: tuple[str, ...], given: Sequence[str], asked: Asked) -> OfEvaluation:
    """Named by its first argument: weights, a tokenizer, or the folder of real videos."""
    from videoar.cluster.cli.commands.evaluate.ahead import check_options

    options: Any = parse(COMMANDS[command].options, words, f"videoar {command}")
    check_options(options, asked.array)
    if asked.gpus > 1:
        remedy = "use 1, and --array for its parts" if hasattr(options, "part") else "use 1"
        raise InputError("gpus", asked.gpus, f"is more than `{command}` uses, which is one process", remedy)
    title = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(given[0]).resolve().name).lstrip("_.-") or "videos"
    return OfEvaluation(command=command, words=words, title=title, options=options)


def _of_recipe(command: str, words: tuple[str, ...], asked: Asked) -> OfRecipe:
    options: Any
    options, found, _ = parse_with_recipe(COMMANDS[command].options, words, f"videoar {command}")
    checked = OfRecipe(command=command, recipe=found, words=words, title=found.name)
    if isinstance(options, TrainTokenizer):
        return _for_a_tokenizer(checked, options, asked)
    if command.startswith("data"):
        checked = replace(checked, output=output_url(for_pretraining(found), options.output))
    return _for_training(checked, options, asked.gpus) if isinstance(options, Train) else checked


def _for_training(checked: OfRecipe, options: Train, gpus: int) -> OfRecipe:
    """With a process for each GPU, and the time that the recipe takes to save."""
    return _with_processes(checked, options, gpus, for_pretraining(checked.recipe).faults.stop_within_s)


def _for_a_tokenizer(checked: OfRecipe, options: TrainTokenizer, asked: Asked) -> OfRecipe:
    """The same; InputError if the processes of all machines cannot share its batches."""
    from videoar.tokenizer.training.peers import check_shares
    from videoar.tokenizer.training.train import STOP_WITHIN_S

    checked = _with_processes(checked, options, asked.gpus, STOP_WITHIN_S)
    check_shares(for_a_tokenizer(checked.recipe).train, asked.nodes * checked.processes)
    return checked


def _with_processes(checked: OfRecipe, options: Train | TrainTokenizer, gpus: int, stop_within_s: float) -> OfRecipe:
    processes = _processes(options, gpus)
    added = ("--processes", str(processes)) if processes > options.processes else ()
    notice_s = math.ceil(stop_within_s) + _MARGIN_S
    return replace(checked, words=(*checked.words, *added), processes=processes, notice_s=notice_s)


def _processes(options: Train | TrainTokenizer, gpus: int) -> int:
    """Processes of each machine: one for each GPU; on CPUs the number in --processes."""
    if gpus and options.processes not in (1, gpus):
        raise InputError("processes", options.processes, f"is not one for each of {gpus} GPUs", "leave it out")
    return gpus or options.processes
