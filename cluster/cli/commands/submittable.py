"""The commands that can be submitted, and the check of their words by the parser that they have themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from videoar.cluster.cli.arguments import for_a_tokenizer, for_pretraining, parse_with_recipe
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

SUBMITTABLE = ("train", "data plan", "data run", "data text", "tokenizer train")

_MARGIN_S = 60
"""Seconds for a signal to reach all processes, and for them to exit when they have saved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A command whose words were accepted."""

    command: str
    recipe: AnyRecipe
    words: tuple[str, ...]
    processes: int = 1
    """Processes of each machine."""
    output: str = ""
    """Where a data command writes."""
    notice_s: int = 120
    """Seconds that it needs to save after a signal."""

    def checks(self, job: Job, gpu: str | None) -> list[Check]:
        """The checks that need no engine."""
        from videoar.cluster.submit.recipe_checks import check_cost, check_plan, check_tokenizer_cost

        if self.command == "train":
            return [partial(check_cost, for_pretraining(self.recipe), job, gpu)]
        if self.command == "tokenizer train":
            return [partial(check_tokenizer_cost, for_a_tokenizer(self.recipe), job, gpu)]
        return [] if job.array is None else [partial(check_plan, for_pretraining(self.recipe), self.output)]


def check_words(command: str, recipe: str, words: Sequence[str], gpus: int, nodes: int = 1) -> Checked:
    """The words that `videoar COMMAND` will get in the job. InputError for what it would refuse: a wrong field."""
    options_class = _options_class(command)
    for word in (recipe, *words):
        refuse_credentials("arguments", word)
    prog = f"videoar {command}"
    options: Any
    options, found, _ = parse_with_recipe(options_class, [recipe, *words], prog)
    checked = Checked(command=command, recipe=found, words=(recipe, *words))
    if isinstance(options, TrainTokenizer):
        return _for_a_tokenizer(checked, options, gpus, nodes)
    if command.startswith("data"):
        checked = replace(checked, output=output_url(for_pretraining(found), options.output))
    return _for_training(checked, options, gpus) if isinstance(options, Train) else checked


def _for_training(checked: Checked, options: Train, gpus: int) -> Checked:
    """With a process for each GPU, and the time that the recipe takes to save."""
    return _with_processes(checked, options, gpus, for_pretraining(checked.recipe).faults.stop_within_s)


def _for_a_tokenizer(checked: Checked, options: TrainTokenizer, gpus: int, nodes: int) -> Checked:
    """The same; InputError if the processes of all machines cannot share its batches."""
    from videoar.tokenizer.training.peers import check_shares
    from videoar.tokenizer.training.train import STOP_WITHIN_S

    checked = _with_processes(checked, options, gpus, STOP_WITHIN_S)
    check_shares(for_a_tokenizer(checked.recipe).train, nodes * checked.processes)
    return checked


def _with_processes(checked: Checked, options: Train | TrainTokenizer, gpus: int, stop_within_s: float) -> Checked:
    processes = _processes(options, gpus)
    added = ("--processes", str(processes)) if processes > options.processes else ()
    notice_s = math.ceil(stop_within_s) + _MARGIN_S
    return replace(checked, words=(*checked.words, *added), processes=processes, notice_s=notice_s)


def _options_class(command: str) -> type:
    if command not in SUBMITTABLE:
        raise InputError("command", command, "cannot be submitted", f"use one of: {', '.join(SUBMITTABLE)}")
    return COMMANDS[command].options


def _processes(options: Train | TrainTokenizer, gpus: int) -> int:
    """Processes of each machine: one for each GPU; on CPUs as many as --processes says."""
    if gpus and options.processes not in (1, gpus):
        raise InputError("processes", options.processes, f"is not one for each of {gpus} GPUs", "leave it out")
    return gpus or options.processes
