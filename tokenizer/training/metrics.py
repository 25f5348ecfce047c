"""RUN/metrics.jsonl of tokenizer training: one line for each logged step, and none twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from videoar.cluster.ground.files import write_atomically
from videoar.tokenizer.training.peers import Peers

METRICS = "metrics.jsonl"


def over_processes(terms: Mapping[str, Tensor], peers: Peers) -> dict[str, float]:
    """The terms of a step over the whole batch; only this function waits for the device."""
    means = peers.mean(torch.stack([value.float() for value in terms.values()]))
    return {name: round(value, 6) for name, value in zip(terms, means.tolist(), strict=True)}


def write_metrics(path: Path, step: int, metrics: Mapping[str, float], seconds: float) -> None:
    """Append one JSON line; `step` counts finished updates, `seconds` is the time of this process."""
    with path.open("a") as file:
        file.write(json.dumps({"step": step, **metrics, "seconds": round(seconds, 3)}) + "\n")


def last_step(path: Path) -> int:
    """The last step that has a line; 0 without any."""
    return max((step for step, _ in _lines(path)), default=0)


def drop_metrics(path: Path, step: int) -> None:
    """Remove lines of updates after the checkpoint, and a partial line that a killed process has written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        write_atomically(path, "".join(line + "\n" for at, line in _lines(path) if at <= step))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Every line that can be read, after its step."""
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        with suppress(ValueError, KeyError, TypeError):
            yield int(json.loads(line)["step"]), line
