from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.data_pipeline.planning.stored_plan import read_plan
from videoar.data_pipeline.shards.commits import Commit, Unit, write_commit
from videoar.data_pipeline.storage.objects import Storage


def test_every_planned_clip_is_accounted_for(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before any shard exists, all clips are still to be made; a clip that is missing in the sums was lost."""
    assert main(["data", "stats", str(planned), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 5
    assert all(item["is_balanced"] and item["num_remaining"] == item["num_planned"] == 24 for item in found)
    assert all(item["seconds"]["remaining_s"] == item["seconds"]["length_s"] for item in found)


def test_a_person_gets_a_table(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Thirty fields of JSON in one line are not read by anybody, on a terminal or in a log."""
    assert main(["data", "stats", f"{planned}/clips32"]) == 0
    heads, row, *rest = [line for line in capsys.readouterr().out.splitlines() if line]
    assert heads.split("  ")[0] == "dataset"
    assert row.split() == "clips32 24 of 24 24 0 0 24 0.00 of 15.00 0 0 unfinished".split()
    assert not rest


def test_a_clip_that_failed_can_be_found(planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a thousand films one is damaged: its name is in the plan, under the key that the commit has."""
    shutil.copytree(planned / "clips32", tmp_path / "clips32")
    plan = read_plan(storage := Storage.open(str(tmp_path / "clips32")))
    failed = {clip.key: "is damaged" for clip in plan.shard(1)}
    unit = Unit(1, 0, plan.shard_sizes[1])
    write_commit(storage, unit, Commit(plan=plan.identity, tars=(), samples=(), failed=failed))
    assert main(["data", "stats", storage.url]) == 0
    first = plan.shard(1)[0]
    row = capsys.readouterr().out.splitlines()[-2]
    assert row.split()[:3] == ["clips32", "failed", str(unit.size)]
    assert row.endswith(f"is damaged  {first.path} at 0 s")
    assert main(["data", "stats", storage.url, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["failed_examples"], found["left_out_examples"]) == ({"is damaged": f"{first.path} at 0 s"}, {})
    film = replace(first, path="films.tar", member="a.mp4", start_s=2.25)
    assert (film.place, replace(film, num_frames=1).place) == ("films.tar!a.mp4 at 2.25 s", "films.tar!a.mp4")


def test_sums_that_do_not_agree_are_said(planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that lost seconds, clips or inputs must not pass a script that looks at the exit code."""
    folder = tmp_path / "clips32"
    (folder / "plan").mkdir(parents=True)
    for path in (planned / "clips32").rglob("*.parquet"):
        (folder / path.relative_to(planned / "clips32")).write_bytes(path.read_bytes())
    head = json.loads((planned / "clips32" / "plan.json").read_text())
    for name in ("num_inputs", "num_candidates", "length_s"):
        changed = {**head, "accounts": {**head["accounts"], name: head["accounts"][name] + 1}}
        (folder / "plan.json").write_text(json.dumps(changed))
        assert main(["data", "stats", str(folder)]) == 1
        assert "the sums do not agree" in capsys.readouterr().out
    for name in ("num_unmeasured", "length_s", "shown_s", "seconds_out"):  # as in a plan of an earlier version
        del head["accounts"][name]
    (folder / "plan.json").write_text(json.dumps(head))
    assert main(["data", "stats", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] is None
