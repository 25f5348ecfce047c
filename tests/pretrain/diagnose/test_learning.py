"""Failures of learning, read from the curves of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.configs.debug import recipe
from videoar.pretrain.run_folder import record_event

from .curves import Records, all_of, findings, healthy, state_after, write


def stuck(records: Records) -> None:
    last = records[-1]
    records += [{**last, "step": step, "bit_accuracy": 0.7, "loss": 0.55} for step in range(20, 1100)]


def past_does_not_help(records: Records) -> None:
    last = records[-1]
    records += [{**last, "step": step, "bit_accuracy_by_frame": [0.7, 0.6]} for step in range(20, 300)]


def diverges(records: Records) -> None:
    for record in records[12:]:
        record["loss"] = 0.9


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
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_failure_is_named(tmp_path: Path, name: str) -> None:
    """One thing is wrong, and the line that belongs to it reports it."""
    change, line, state = BROKEN[name]
    assert state_after(change, line, tmp_path) == state


def test_validation_on_clips_that_are_trained_on_is_a_finding(tmp_path: Path) -> None:
    """A curve of validation as good as that of training is what such a run shows for days."""
    run = write(tmp_path / "run", healthy())
    base = recipe()
    watched = replace(base, log=replace(base.log, validate_every=5, validation=("clips32",)))
    (run / "config.yaml").write_text(to_yaml(watched))
    first = next(finding for finding in findings(run) if finding.name == "held-out loss")
    assert (first.state, first.found) == ("warn", "log.validation=clips32: is not held out, stage images trains on it")


@pytest.mark.parametrize(("warmup", "state"), [(19, "ok"), (20, "warn"), (110, "warn")])
def test_a_warm_up_as_long_as_the_run_is_a_finding(tmp_path: Path, warmup: int, state: str) -> None:
    """Who lowers the steps of a recipe forgets its warm-up; the loss falls, only much more slowly."""
    run = write(tmp_path / "run", healthy())
    base = recipe()
    assert base.num_steps == 20
    slow = replace(base, optimizer=replace(base.optimizer, warmup_steps=warmup))
    (run / "config.yaml").write_text(to_yaml(slow))
    assert next(finding for finding in findings(run) if finding.name == "learning rate").state == state


def test_weights_that_the_run_began_with_may_know_something(tmp_path: Path) -> None:
    """A fine-tuned model does not begin at chance; that is no fault of the run."""
    records = healthy()
    records[0].update(loss=0.45)
    run = write(tmp_path / "run", records)
    record_event(run, "begun_from", origin="weights/base")
    first = next(finding for finding in findings(run) if finding.name == "first loss")
    assert (first.state, "weights/base" in first.found) == ("ok", True)
