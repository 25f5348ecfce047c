"""The line that a training logs before its first step: on what, how it is cut, what is trained and for how long."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import torch

from videoar.pretrain.budget.memory import parameter_sizes
from videoar.pretrain.config import ParallelConfig, Recipe
from videoar.pretrain.resume import Resumed

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

    The time that it takes is not known before the first steps: the progress lines give it.
    """
    parameters = f"{sum(parameter_sizes(recipe.model).values()) / 1e6:,.1f}M parameters"
    cut, steps = layout_words(parallel, len(devices)), steps_words(step, recipe.num_steps)
    return f"{recipe.name}: {cut}; {counted(devices)}; {recipe.precision}; {parameters}; {steps}"


def steps_words(step: int, of: int) -> str:
    """The steps of a training, and the one that it goes on from."""
    return f"steps {step:,} to {of:,}, resumed" if step else f"{of:,} steps"


def layout_words(parallel: ParallelConfig, processes: int) -> str:
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


def counted(devices: Sequence[str]) -> str:
    """The different ones, with how often each is there if there are several: `8 x NVIDIA H200`."""
    if len(devices) == 1:
        return devices[0]
    return ", ".join(f"{count} x {name}" for name, count in Counter(devices).items())
