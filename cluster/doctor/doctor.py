"""Checks of what this machine can do: findings as they are made, each ok, warn or fail, with the remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from functools import partial

import torch

from videoar.cluster.doctor import arithmetic, clients, decoder, gpu, libraries, limits, network, store
from videoar.cluster.doctor.check import LIMIT_S, Asked, Check, made
from videoar.cluster.ground.finding import Finding


def examine(
    asked: Asked = Asked(),  # noqa: B008  # frozen
    on_start: Callable[[str], object] = lambda name: None,
    ports: Collection[int] = (),
) -> Iterator[Finding]:
    """Make every check that is asked for, and yield what each finds; nothing is changed.

    `on_start` is called with the name of a check before it begins. `ports` are those where this job's processes meet.
    """
    trials = _trials(asked)
    try:
        for check in [*_checks(asked, ports), *trials]:
            on_start(check.name)
            yield made(check)
    finally:
        for trial in trials.values():
            trial.end()


class _Trials(dict[Check, libraries.Trial | libraries.Absent]):
    """Libraries that are being tried in processes of their own, by the check that waits for each."""


def _trials(asked: Asked) -> _Trials:
    """Start the trials of libraries first: they take longest, and the other checks run meanwhile."""
    trials = _Trials()

    def start(name: str, group: str, trial: libraries.Trial | libraries.Absent) -> None:
        trials[Check(name, group, trial.finding, libraries.STEP_S + LIMIT_S)] = trial  # type: ignore[arg-type]

    if "engines" in asked.groups:
        for name in ("megatron-core", "deepspeed"):
            start(name, "engines", libraries.step_of(name, needed=asked.extras_needed))
    if "data" in asked.groups:
        start("ray", "data", libraries.ray(needed=asked.extras_needed))
    return trials


def _checks(asked: Asked, ports: Collection[int]) -> list[Check]:
    """The other checks, cheap ones first."""
    checks = [
        Check("torch", "machine", gpu.torch_device),
        Check("GPUs", "machine", partial(gpu.gpus, asked.gpus)),
        Check("driver", "machine", partial(gpu.driver, torch.version.cuda)),
        Check("NCCL", "machine", gpu.nccl),
        Check("triton", "machine", gpu.triton),
        Check("bf16", "machine", arithmetic.bf16),
        Check("CPU bf16", "machine", arithmetic.cpu_bf16),
        Check("disk", "machine", partial(limits.disk, asked.folder)),
        Check("shared memory", "machine", limits.shared_memory),
        Check("open files", "machine", limits.open_files),
        Check("processes", "machine", limits.processes),
        Check("locked memory", "machine", limits.locked_memory),
        Check("loopback", "machine", network.loopback),
        Check("open ports", "machine", partial(network.listeners, ports)),
        Check("wandb", "machine", libraries.wandb),
        Check("Slurm", "clients", clients.slurm),
        Check("Ray cluster", "clients", clients.ray_jobs),
        Check("Kubernetes", "clients", clients.kubernetes),
        Check("decoders", "data", decoder.decoders),
        Check("attention", "attention", arithmetic.attention),
    ]
    if asked.url:
        checks.append(Check("storage", "machine", partial(store.store, asked.url)))
        checks.append(Check("clock", "machine", partial(store.clock, asked.url)))
    return [check for check in checks if check.group in asked.groups]


def summary(findings: Collection[Finding]) -> str:
    """`21 ok, 2 warn (triton, wandb)`."""
    counts = []
    for state in ("ok", "warn", "fail"):
        names = [finding.name for finding in findings if finding.state == state]
        named = f" ({', '.join(dict.fromkeys(names))})" if state != "ok" else ""
        if names:
            counts.append(f"{len(names)} {state}{named}")
    return ", ".join(counts)


def node() -> str:
    """The name of this machine in a report."""
    return os.uname().nodename
