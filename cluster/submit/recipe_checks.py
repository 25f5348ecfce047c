"""Checks of the recipe before anything is sent: does it fit its GPUs and its time, and is there a plan to share?"""

from __future__ import annotations

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.finding import Finding
from videoar.cluster.submit.job import Job
from videoar.data_pipeline.planning.all_datasets import require_plans
from videoar.pretrain.budget.budget import GPU_MEMORY, budget
from videoar.pretrain.budget.report import duration, gigabytes
from videoar.pretrain.config import Recipe
from videoar.pretrain.parallel.check import check_parallel


def check_cost(recipe: Recipe, job: Job, gpu: str | None) -> Finding:
    """The budget in one line; InputError if the layout does not fit the processes, or the run the GPUs or the time."""
    processes = job.nodes * job.processes
    if gpu is None:
        check_parallel(recipe, processes)
        found = "memory and time were not compared"
        return Finding(name="budget", state="skip", found=found, remedy="name the kind of GPU: --gpu h200")
    cost = budget(recipe, gpus=processes, gpu=gpu)
    needs, has = gigabytes(cost.memory_bytes_per_rank), gigabytes(GPU_MEMORY[cost.gpu])
    if not cost.fits:
        raise InputError(
            "gpu", cost.gpu, f"has {has}, and a process needs {needs} of nine tenths of it",
            "use more GPUs, a higher parallel.tensor, pipeline or zero_stage, or parallel.recompute",
        )  # fmt: skip
    whole = duration(cost.hours)
    if job.wall_s is not None and cost.hours * 3600 > job.wall_s * (job.requeues + 1):
        raise InputError(
            "time", f"{duration(job.wall_s / 3600)} x {job.requeues + 1}", f"is less than the {whole} that it takes",
            "give more --time, --requeues or GPUs",
        )  # fmt: skip
    found = f"{needs} of {has} per GPU; {whole} on {processes} x {cost.gpu} at {cost.mfu:.0%} of the peak"
    return Finding(name="budget", state="ok", found=found)


def check_plan(recipe: Recipe, output: str) -> Finding:
    """InputError if the jobs of an array would find no plan to share."""
    require_plans(recipe.data, output)
    return Finding(name="plan", state="ok", found=f"every dataset has one in {output}")
