"""The engines by name."""

from __future__ import annotations

from videoar.cluster.ground.errors import InputError
from videoar.cluster.submit.engine import Engine
from videoar.cluster.submit.kubernetes.kubernetes import Kubernetes
from videoar.cluster.submit.ray_jobs.jobs import RayJobs
from videoar.cluster.submit.slurm.slurm import Slurm

ENGINES: dict[str, type[Engine]] = {"slurm": Slurm, "ray": RayJobs, "kubernetes": Kubernetes}


def find_engine(name: str) -> Engine:
    """The engine of that name."""
    if name not in ENGINES:
        raise InputError("to", name, "is not an engine", f"use one of: {', '.join(ENGINES)}")
    return ENGINES[name]()
