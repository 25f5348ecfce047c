"""What is read off the curves of a run: each known failure is named, and a healthy curve is left alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.health import Standing
from videoar.cluster.ground.serialize import to_yaml
from videoar.configs.debug import recipe
from videoar.pretrain.diagnose import OF_CURVES, OF_PROGRESS, OF_SPEED
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.pretrain.run_folder import sole_writer

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


def stuck(records: Records) -> None:
    last = records[-1]
    records += [{**last, "step": step, "bit_accuracy": 0.7, "loss": 0.55} for step in range(20, 1100)]


def past_does_not_help(records: Records) -> None:
    last = records[-1]
    records += [{**last, "step": step, "bit_accuracy_by_frame": [0.7, 0.6]} for step in range(20, 300)]


def diverges(records: Records) -> None:
    for record in records[12:]:
        record["loss"] = 0.9


def dead_block(records: Records) -> None:
    for record in records:
        record["grad_norm_by_block"] = {"embedding": 0.1, "block_00": 0.0, "block_01": 0.2, "head": 0.4}


def loud_block(records: Records) -> None:
    for record in records:
        blocks = {f"block_{layer:02d}": 0.1 for layer in range(4)}
        record["grad_norm_by_block"] = {"embedding": 0.1, **blocks, "block_04": 50.0, "head": 0.4}


BROKEN: dict[str, tuple[Callable[[Records], None], str, str]] = {
    "not chance at first": (lambda records: records[0].update(loss=0.9), "first loss", "fail"),
    "weights of another run": (lambda records: records[0].update(loss=0.5), "first loss", "fail"),
    "a little off at first": (lambda records: records[0].update(loss=0.71), "first loss", "warn"),
    "rate of zero": (all_of("learning_rate", 0.0), "learning rate", "fail"),
    "divergence": (diverges, "learning rate", "fail"),
    "nothing learned": (lambda records: [r.update(loss=0.693, bit_accuracy=0.5) for r in records], "learning", "fail"),
    "stuck": (stuck, "plateau", "warn"),
    "first scale guesses": (all_of("bit_accuracy_by_scale", [0.5, 0.7, 0.7, 0.65]), "loss by scale", "fail"),
    "last scale guesses": (all_of("bit_accuracy_by_scale", [0.7, 0.7, 0.65, 0.5]), "loss by scale", "warn"),
    "later frames are worse": (past_does_not_help, "loss by frame", "warn"),
    "explosion": (late("grad_norm", 500.0), "gradient norm", "fail"),
    "growth": (late("grad_norm", 20.0), "gradient norm", "warn"),
    "no gradient": (all_of("grad_norm", 1e-9), "gradient norm", "fail"),
    "dead block": (dead_block, "by block", "fail"),
    "loud block": (loud_block, "by block", "warn"),
    "skipped at the end": (late("applied", False), "skipped steps", "fail"),
    "slow data": (all_of("data_wait", 0.2), "data wait", "warn"),
    "starved": (all_of("data_wait", 0.7), "data wait", "fail"),
    "idle device": (all_of("mfu", 0.05), "MFU", "warn"),
    "padding": (all_of("fill", 0.6), "fill", "warn"),
    "talkative": (all_of("communication", 0.5), "communication", "warn"),
    "memory": (all_of("peak_memory", 1 << 60), "memory", "warn"),
    "slow saves": (all_of("checkpoint_blocked_s", 1.0), "saving", "warn"),
}


def test_a_healthy_curve_is_left_alone(tmp_path: Path) -> None:
    """A doctor that finds something in everybody is not asked twice."""
    found = states(write(tmp_path, healthy()))
    assert {name for name, state in found.items() if state in ("warn", "fail")} == set()
    assert {"first loss", "learning", "by block", "data wait"} <= {
        name for name, state in found.items() if state == "ok"
    }


@pytest.mark.parametrize("name", BROKEN)
def test_each_failure_is_named(tmp_path: Path, name: str) -> None:
    """One thing is wrong, and its own line says so."""
    change, line, state = BROKEN[name]
    records = healthy()
    change(records)
    assert states(write(tmp_path, records))[line] == state


def test_a_run_that_stands_still_is_told_from_one_that_hangs(tmp_path: Path) -> None:
    """A dead trainer is started again; a living one that does not step has to be ended first."""
    run = write(tmp_path, healthy()[:10])
    assert states(run)["progress"] == "ok"
    an_hour_ago = time.time() - 3600
    os.utime(run / "metrics.jsonl", (an_hour_ago, an_hour_ago))
    assert states(run)["progress"] == "warn"
    standing = Standing(3, "node-7", 4711, 10, "data wait", an_hour_ago, an_hour_ago)
    (run / "health").mkdir()
    (run / "health" / "00000.json").write_text(json.dumps(asdict(standing)))
    with sole_writer(run):
        (told,) = [finding for finding in findings(run) if finding.name == "progress"]
    assert told.state == "fail"
    assert "process 3 (node-7, pid 4711) has been in data wait of step 10" in told.found


def test_failed_saves_and_rewinds_are_told(tmp_path: Path) -> None:
    """They are in events.jsonl, which nobody reads until it is too late."""
    events = [{"event": "rewind", "step": 5}, {"event": "save_failed", "step": 9, "error": "disk full"}]
    run = write(tmp_path, healthy(), events)
    assert states(run)["skipped steps"] == "warn"
    (told,) = [finding for finding in findings(run) if finding.name == "events"]
    assert told.state == "warn"
    assert "disk full" in told.found


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts ask whether anything fails; a folder that is no run is the user's error."""
    assert main(["diagnose", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("run=")
    run = write(tmp_path / "run", [])
    assert main(["diagnose", str(run), "--weights", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"weights={tmp_path}: holds no config.json")
    assert main(["diagnose", str(run)]) == 1
    assert "no step was recorded" in capsys.readouterr().out
    assert main(["diagnose", str(run), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"name", "state", "found", "remedy", "figures"} == set(lines[0])
