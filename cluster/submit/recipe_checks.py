"""Checks of the recipe before anything is sent: does it fit its GPUs and its time, and is there a plan to share?"""

from __future__ import annotations

import math

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.finding import Finding
from videoar.cluster.submit.job import Job
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.data_pipeline.planning.all_datasets import require_plans
from videoar.pretrain.budget.machine import GPUS, MEMORY_SHARE, known_gpu
from videoar.pretrain.config import Recipe
from videoar.pretrain.parallel.check import check_parallel
from videoar.pretrain.planner.plan import plan
from videoar.pretrain.planner.report import duration, gigabytes
from videoar.pretrain.planner.tokenizer_cost import tokenizer_cost


def check_cost(recipe: Recipe, job: Job, gpu: str | None) -> Finding:
    """The plan in one line; InputError if the layout does not fit the processes, or the run the GPUs or the time."""
    processes = job.nodes * job.processes
    if gpu is None:
        check_parallel(recipe, processes)
        return _not_compared("memory, time", "memory and time were not checked", job)
    cost = plan(recipe, gpus=processes, gpu=gpu, gpus_per_node=job.processes)
    memory = GPUS[cost.gpu].memory_bytes
    needs, has = gigabytes(cost.memory_bytes_per_rank), gigabytes(memory)
    if not cost.fits:
        raise InputError(
            "gpu", cost.gpu, f"has {has}, of which {MEMORY_SHARE * memory / 1e9:,.1f} ({100 * MEMORY_SHARE:.0f} %) may "
            f"be used; a process needs {needs}",
            f"`videoar plan --gpus {processes} --search` finds layouts that fit",
        )  # fmt: skip
    found = f"{needs} of {has} per GPU; {_time(cost.hours, job, cost.gpu, cost.mfu)}"
    return Finding(name="memory, time", state="ok", found=found)


def check_tokenizer_cost(recipe: TokenizerRecipe, job: Job, gpu: str | None) -> Finding:
    """The time in one line, at the MFU that `videoar plan` assumes; InputError if it is more than the job has."""
    if gpu is None:
        return _not_compared("time", "was not checked", job)
    cost = tokenizer_cost(recipe.tokenizer, recipe.train, known_gpu(gpu))
    hours = cost.gpu_hours / (job.nodes * job.processes)
    return Finding(name="time", state="ok", found=_time(hours, job, cost.gpu, cost.mfu))


def _not_compared(name: str, found: str, job: Job) -> Finding:
    """Without the kind of GPU, its memory and speed are unknown; on CPUs nothing is compared."""
    if not job.gpus:
        return Finding(name="layout", state="ok", found=f"{job.nodes * job.processes} on CPUs")
    return Finding(name=name, state="skip", found=found, remedy="name the kind of GPU: --gpu h200")


def _time(hours: float, job: Job, gpu: str, mfu: float) -> str:
    """How long it takes, and in how many runs; InputError if the job does not get that much time."""
    whole, at = duration(hours), f"at {mfu:.0%} of the peak"
    if job.wall_s is not None and hours * 3600 > job.wall_s * (job.requeues + 1):
        raise InputError(
            "time", f"{job.time} x {job.requeues + 1}", f"is less than the {whole} that it takes {at}",
            "give more --time, --requeues or GPUs",
        )  # fmt: skip
    count = 1 if job.wall_s is None else math.ceil(hours * 3600 / job.wall_s)
    runs = f", in at least {count} runs of {job.time}" if count > 1 else ""
    return f"{whole} on {job.nodes * job.processes} x {gpu} {at}{runs}"


def check_plan(recipe: Recipe, output: str) -> Finding:
    """InputError if the jobs of an array would find no plan to share."""
    require_plans(recipe.data, output)
    return Finding(name="plan", state="ok", found=f"every dataset has one in {output}")
