from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main


def test_one_json_line_per_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that starts jobs reads the number of shards from here; a table in between would break it."""
    assert main(["data", "plan", "debug", "--output", str(tmp_path), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["dataset"] for item in found] == ["images32", "clips32", "images64", "clips64", "long64"]
    assert {item["num_shards"] for item in found} == {2}
    assert all(item["num_clips"] == item["num_inputs"] == 24 for item in found)


def test_a_folder_of_something_else_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last dataset's folder is somebody's: its files would be overwritten, and the other plans left behind."""
    theirs = tmp_path / "long64" / "dataset.json"
    theirs.parent.mkdir()
    theirs.write_text("{}")
    assert main(["data", "plan", "debug", "--output", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("holds dataset.json, but no plan (plan.json); choose an empty or a new folder")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [theirs]


def test_what_a_stopped_planning_left_is_replaced(tmp_path: Path) -> None:
    """Killed before its head was written, a plan must not block the folder."""
    assert main(["data", "plan", "debug", "--output", str(tmp_path)]) == 0
    head = tmp_path / "clips32" / "plan.json"
    before = head.read_bytes()
    head.rename(head.with_name("plan.json.0123abcd.part"))
    assert main(["data", "plan", "debug", "--output", str(tmp_path)]) == 0
    assert head.read_bytes() == before


@pytest.mark.parametrize("command", [("data", "plan"), ("train",)], ids=["plan", "train"])
def test_every_wrong_path_is_named_at_once(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found one by one, four wrong paths are four attempts on a cluster."""
    words = ["--data.tokenizer.path", "no/tokenizer", "--data.online", "true", "--log.wandb", "off"]
    for name in ("clips32", "images64", "long64"):
        field = f"--data.datasets.{name}.source"
        words += [f"{field}.kind", "folder", f"{field}.path", f"no/{name}"]
    target = ["--output", str(tmp_path / "out")] if command == ("data", "plan") else ["--run", str(tmp_path / "out")]
    assert main([*command, "debug", *words, *target]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "=" in line and ": " in line]
    assert [line.partition(": ")[0] for line in lines] == [
        "data.tokenizer.path=no/tokenizer",
        *(f"data.datasets.{name}.source.path=no/{name}" for name in ("clips32", "images64", "long64")),
    ]
    assert not (tmp_path / "out" / "images32").exists()
