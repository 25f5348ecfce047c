"""RUN/metrics.jsonl of tokenizer training: one line for each logged step, and none twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    lines = path.read_text().splitlines() if path.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def drop_metrics(path: Path, step: int) -> None:
    """Remove lines of updates after the checkpoint, and the partial line of a killed process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return
    lines = path.read_text().split("\n")[:-1]
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    write_atomically(path, "".join(line + "\n" for line in kept))
