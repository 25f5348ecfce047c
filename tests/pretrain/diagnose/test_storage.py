"""Progress and events of a run."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from videoar.cluster.ground.processes.health import Standing
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.pretrain.diagnose.storage import checkpoints
from videoar.pretrain.run_folder import sole_writer

from .curves import findings, healthy, states, write


def test_a_run_that_has_stopped_is_distinguished_from_one_that_hangs(tmp_path: Path) -> None:
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
        (found,) = [finding for finding in findings(run) if finding.name == "progress"]
    assert found.state == "fail"
    assert "process 3 (node-7, pid 4711) has been in data wait of step 10" in found.found


def test_failed_saves_and_rewinds_are_reported(tmp_path: Path) -> None:
    """They are in events.jsonl, which nobody reads until it is too late."""
    events = [{"event": "rewind", "step": 5}, {"event": "save_failed", "step": 9, "error": "disk full"}]
    run = write(tmp_path, healthy(), events)
    assert states(run)["skipped steps"] == "warn"
    (found,) = [finding for finding in findings(run) if finding.name == "events"]
    assert found.state == "warn"
    assert "disk full" in found.found


@pytest.mark.parametrize(("events", "state"), [((), "skip"), ([{"event": "saved", "step": 5}], "fail")])
def test_checkpoints_that_are_gone_are_told_from_none_so_far(
    tmp_path: Path, events: list[dict[str, object]], state: str
) -> None:
    """Purged or not mounted: the run would be refused at its next start, which may be hours away."""
    (found,) = checkpoints(Evidence.read(write(tmp_path, healthy()[:3], events)), everything=False)
    assert found.state == state
    assert ("no longer any" in found.found) is bool(events)
