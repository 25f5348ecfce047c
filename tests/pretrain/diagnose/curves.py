"""A run that learns, ways to break its curves, and what the checks find in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.ground.finding import Finding
from videoar.configs.debug import recipe
from videoar.pretrain.diagnose import OF_CURVES, OF_PROGRESS, OF_SPEED
from videoar.pretrain.diagnose.evidence import Evidence

Records = list[dict[str, Any]]


def healthy() -> Records:
    """Twenty steps of a run that learns."""
    return [
        {
            "step": step,
            "stage": "long",
            "loss": 0.6932 - 0.01 * step,
            "grad_norm": 0.5,
            "learning_rate": 1e-3,
            "grad_norm_by_block": {"embedding": 0.1, "block_00": 0.2, "block_01": 0.2, "head": 0.4},
            "applied": True,
            "flip_ratio": 0.15,
            "fill": 0.99,
            "step_s": 1.0,
            "data_wait": 0.001,
            "communication": None,
            "mfu": 0.45,
            "peak_memory": 1 << 28,
            "bit_accuracy": 0.5 + 0.01 * step,
            "checkpoint_blocked_s": None,
            "bit_accuracy_by_scale": [0.7, 0.7, 0.65, 0.6],
            "bit_accuracy_by_frame": [0.6, 0.7],
        }
        for step in range(20)
    ]


def write(run: Path, records: Records, events: Records = ()) -> Path:  # type: ignore[assignment]
    run.mkdir(exist_ok=True)
    (run / "config.yaml").write_text(to_yaml(recipe()))
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return run


def findings(run: Path) -> list[Finding]:
    """What the curves and events alone decide."""
    evidence = Evidence.read(run)
    return [finding for check in (*OF_CURVES, *OF_PROGRESS, *OF_SPEED) for finding in check(evidence)]


def states(run: Path) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings(run)}


def all_of(field: str, value: Any) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        for record in records:
            record[field] = value

    return change


def late(field: str, value: Any) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        for record in records[12:]:
            record[field] = value

    return change


def state_after(change: Callable[[Records], object], line: str, run: Path) -> str:
    """The state of a line of the diagnosis after one change to the records of a healthy run."""
    records = healthy()
    change(records)
    return states(write(run, records))[line]
