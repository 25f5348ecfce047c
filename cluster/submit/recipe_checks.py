"""Checks of the recipe before anything is sent: does it fit its GPUs and its time, and is there a plan to share?"""

from __future__ import annotations

import math

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.finding import Finding
from videoar.cluster.submit.job import Job
from videoar.data_pipeline.planning.all_datasets import require_plans
from videoar.pretrain.budget.machine import GPUS, MEMORY_SHARE
from videoar.pretrain.config import Recipe
from videoar.pretrain.parallel.check import check_parallel
from videoar.pretrain.planner.plan import plan
from videoar.pretrain.planner.report import duration, gigabytes


def check_cost(recipe: Recipe, job: Job, gpu: str | None) -> Finding:
    """The plan in one line; InputError if the layout does not fit the processes, or the run the GPUs or the time."""
    processes = job.nodes * job.processes
    if gpu is None:
        check_parallel(recipe, processes)
        if not job.gpus:
            return Finding(name="layout", state="ok", found=f"{processes} on CPUs")
        found = "memory and time were not compared"
        return Finding(name="memory, time", state="skip", found=found, remedy="name the kind of GPU: --gpu h200")
    cost = plan(recipe, gpus=processes, gpu=gpu, gpus_per_node=job.processes)
    memory = GPUS[cost.gpu].memory_bytes
    needs, has = gigabytes(cost.memory_bytes_per_rank), gigabytes(memory)
    if not cost.fits:
        raise InputError(
            "gpu", cost.gpu, f"has {has}, of which {MEMORY_SHARE * memory / 1e9:,.1f} ({100 * MEMORY_SHARE:.0f} %) may "
            f"be used; a process needs {needs}",
            f"`videoar plan --gpus {processes} --search` finds layouts that fit",
        )  # fmt: skip
    whole = duration(cost.hours)
    if job.wall_s is not None and cost.hours * 3600 > job.wall_s * (job.requeues + 1):
        raise InputError(
            "time", f"{job.time} x {job.requeues + 1}", f"is less than the {whole} that it takes",
            "give more --time, --requeues or GPUs",
        )  # fmt: skip
    runs = "" if job.wall_s is None else _runs(cost.hours * 3600, job.wall_s, job.time)
    found = f"{needs} of {has} per GPU; {whole} on {processes} x {cost.gpu} at {cost.mfu:.0%} of the peak{runs}"
    return Finding(name="memory, time", state="ok", found=found)


def _runs(cost_s: float, wall_s: int, typed: str) -> str:
    count = math.ceil(cost_s / wall_s)
    return f", in at least {count} runs of {typed}" if count > 1 else ""


def check_plan(recipe: Recipe, output: str) -> Finding:
    """InputError if the jobs of an array would find no plan to share."""
    require_plans(recipe.data, output)
    return Finding(name="plan", state="ok", found=f"every dataset has one in {output}")
