"""The line that a training logs before its first step: layout, devices, precision, parameters and steps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import torch

from videoar.pretrain.budget.memory import parameter_sizes
from videoar.pretrain.config import ParallelConfig, Recipe
from videoar.pretrain.start.resume import Resumed

log = logging.getLogger(__name__)


def log_opening(recipe: Recipe, resumed: Resumed) -> None:
    """On the first process, log the line. Every process calls it, unless the run is complete."""
    if resumed.progress.is_over(recipe):
        return
    engine = resumed.engine
    devices = engine.gather(device_words(engine.device))
    if devices is not None:
        log.info("%s", opening_line(recipe, engine.parallel, devices, resumed.progress.step))


def opening_line(recipe: Recipe, parallel: ParallelConfig, devices: Sequence[str], step: int) -> str:
    """The line of a training whose next step is `step`; `devices` are those of its processes.

    Its duration is not known before the first steps: `expected_time` logs it after them.
    """
    parameters, cut = sum(parameter_sizes(recipe.model).values()), cut_words(parallel, len(devices))
    return in_a_line(recipe.name, cut, devices, recipe.precision, parameters, step, recipe.num_steps)


def in_a_line(
    name: str, cut: str, devices: Sequence[str], precision: str, parameters: int, step: int, num_steps: int
) -> str:
    """The line for the training of a generator or a tokenizer; `cut` is the text from `cut_words`."""
    steps = f"steps {step:,} to {num_steps:,}, resumed" if step else f"{num_steps:,} steps"
    return f"{name}: {cut}; {_counted(devices)}; {precision}; {parameters / 1e6:,.1f}M parameters; {steps}"


def cut_words(parallel: ParallelConfig, processes: int) -> str:
    """How processes share the work: `1 process`, or `8 processes: data 2 x tensor 4, ZeRO 1`."""
    if parallel.is_plain(processes):
        return "1 process"
    degrees = {"data": processes // parallel.model_processes}
    degrees |= {name: getattr(parallel, name) for name in ("tensor", "pipeline", "context")}
    cut = " x ".join(f"{name} {degree}" for name, degree in degrees.items() if degree > 1)
    words = [cut] if cut else []
    if parallel.zero_stage:
        words.append(f"ZeRO {parallel.zero_stage}")
    return f"{processes} process{'es' if processes > 1 else ''}: {', '.join(words)}"


def device_words(device: torch.device) -> str:
    """The name of a GPU, or the CPU with the threads that this process computes with."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type} with {threads} thread{'s' if threads > 1 else ''}"


def _counted(devices: Sequence[str]) -> str:
    """Each different device once, with its number if there are several: `8 x NVIDIA H200`."""
    if len(devices) == 1:
        return devices[0]
    return ", ".join(f"{count} x {name}" for name, count in Counter(devices).items())
