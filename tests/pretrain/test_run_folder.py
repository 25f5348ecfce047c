"""The files of a run directory, after kills, full disks and changed commands."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.pretrain.run_folder import append_line, keep_lines, open_run, read_lines, record_event, sole_writer


def test_an_event_after_a_half_written_one_is_kept(tmp_path: Path) -> None:
    """Killed within a line: the next process's first event would be glued to it, and both be lost."""
    record_event(tmp_path, "saved")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "ha')
    for event in ("resumed", "stage_ended"):
        record_event(tmp_path, event)
    assert [line["event"] for line in read_lines(tmp_path / "events.jsonl")] == ["saved", "resumed", "stage_ended"]


def test_lines_that_are_kept_stay_as_they_are(tmp_path: Path) -> None:
    """A resumed run drops what it writes again, and nothing else; a last line without its end gets one."""
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in range(4)) + '{"step": 1}')
    keep_lines(path, lambda line: line["step"] < 2)
    append_line(path, '{"step": 2}')
    assert path.read_text() == '{"step": 0}\n{"step": 1}\n{"step": 1}\n{"step": 2}\n'


def test_a_full_disk_below_the_run_is_one_line(tmp_path: Path) -> None:
    """Its metrics or events cannot be written: a person reads what to do, not three tracebacks."""
    with pytest.raises(StoreError, match="the disk is full"), sole_writer(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_refused_run_leaves_no_folder(tmp_path: Path) -> None:
    """The lock of a run that was refused is not the beginning of one; a folder that was there stays."""
    for run in (tmp_path / "new" / "run", tmp_path):
        with pytest.raises(InputError), sole_writer(run):
            raise InputError("seed", 1, "is refused", "give another")
    assert not list(tmp_path.iterdir())


def test_a_recipe_written_by_hand_keeps_its_comments(tmp_path: Path) -> None:
    """`videoar train R/config.yaml --run R` begins a run in the folder of its recipe."""
    written = "# why this run\n" + to_yaml(recipe())
    (tmp_path / "config.yaml").write_text(written)
    open_run(tmp_path, recipe(), World())
    assert (tmp_path / "config.yaml").read_text() == written
    open_run(tmp_path, replace(recipe(), seed=1), World())
    assert "seed: 1" in (tmp_path / "config.yaml").read_text()


def test_a_copy_gets_its_own_id_and_a_moved_run_keeps_it(tmp_path: Path) -> None:
    """Two runs with one id overwrite each other's curves at Weights & Biases."""
    run, copy, moved = (tmp_path / name for name in ("run", "copy", "moved"))
    run.mkdir()
    (run / "wandb.id").write_text("abc")
    open_run(run, recipe(), World())
    shutil.copytree(run, copy)
    for folder in (run, copy):
        open_run(folder, recipe(), World())
    assert (run / "wandb.id").exists()
    assert not (copy / "wandb.id").exists()
    run.rename(moved)
    open_run(moved, recipe(), World())
    assert (moved / "wandb.id").read_text() == "abc"
