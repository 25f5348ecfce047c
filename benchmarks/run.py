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

from videoar.benchmarks.cases import Options, Row
from videoar.benchmarks.measure import rounded
from videoar.cluster.ground.versions import installed_version

OF_CASES = ("attention", "train", "decode", "tokenizer", "size1", "machine")
"""Benchmarks that print a line of figures for each of their cases; the others print one line."""


def run(name: str) -> dict[str, Any]:
    """The figures of `videoar.benchmarks.NAME`, after its name, the versions and the machine."""
    with stdout_as_stderr():
        figures = importlib.import_module(f"videoar.benchmarks.{name}").run()
    return {"benchmark": name, **environment(), **rounded(figures)}


def run_cases(name: str, options: Options) -> Iterator[Row]:
    """The figures of `videoar.benchmarks.NAME`, a line for each case and subject as soon as it is measured."""
    rows = importlib.import_module(f"videoar.benchmarks.{name}").rows(options)
    while True:
        with stdout_as_stderr():
            row = next(rows, None)
        if row is None:
            return
        yield {"benchmark": name, **rounded(row), **environment()}


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
    packages = ("torch", "triton", "transformers", "megatron-core", "deepspeed")
    versions = {name: version for name in packages if (version := installed_version(name))}
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
    return {
        "versions": {"python": platform.python_version()} | versions,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
    }
