"""Runs a benchmark by its name, and adds the machine and versions to its figures."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from videoar.benchmarks.measure import rounded


def run(name: str) -> dict[str, Any]:
    """The figures of `videoar.benchmarks.NAME`, after its name, the versions and the machine."""
    with stdout_as_stderr():
        figures = importlib.import_module(f"videoar.benchmarks.{name}").run()
    return {"benchmark": name, **environment(), **rounded(figures)}


@contextmanager
def stdout_as_stderr() -> Iterator[None]:
    """Send to stderr what libraries print, also in processes started inside the block: it is not part of the result."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def environment() -> dict[str, Any]:
    """Versions and machine that a figure depends on."""
    packages = ("torch", "megatron-core", "deepspeed")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in packages},
        "device": device,
        "cores": os.cpu_count(),
    }
