"""Run a function in several processes of this machine, each with its own rank, and collect what they return."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing

from videoar.cluster.ground.process import World, set_variables

Work = Callable[..., Any]

_VARIABLES = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
"""Each process has one thread, because the processes that are compared share the cores."""


def run_processes(count: int, work: Work, arguments: Mapping[str, Any] | None = None) -> list[Any]:
    """`work(world, **arguments)` in each of `count` processes that meet by a file: their JSON values, by rank.

    When one fails the others are ended, and its error is raised here.
    """
    arguments = dict(arguments or {})
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(_one, (count, folder, work, arguments), count, start_method="forkserver")
        return [json.loads(_file(folder, rank).read_text()) for rank in range(count)]


def _one(rank: int, count: int, folder: str, work: Work, arguments: dict[str, Any]) -> None:
    set_variables(_VARIABLES)
    torch.set_num_threads(1)
    rendezvous = (Path(folder) / "rendezvous").as_uri()
    value = work(World(rank=rank, local_rank=rank, world_size=count, rendezvous=rendezvous), **arguments)
    _file(folder, rank).write_text(json.dumps(value))
    if dist.is_initialized():
        dist.barrier()  # no process ends while another still communicates


def _file(folder: str, rank: int) -> Path:
    return Path(folder) / f"{rank}.json"
