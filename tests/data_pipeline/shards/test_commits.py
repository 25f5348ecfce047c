"""Which units count, which remain, and which commits are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.shards.commits import (
    Commit,
    CommittedSample,
    CommittedTar,
    Unit,
    committed_units,
    read_commit,
    read_commits,
    remaining_units,
    write_commit,
)
from videoar.data_pipeline.storage.objects import Storage

PLAN, SHA256 = "settings-clips", "0" * 64


def commit_of(unit: Unit) -> Commit:
    """One sample of two tars; the other clips have failed."""
    tars = tuple(CommittedTar(f"{folder}/{unit.name}.a1.tar", 600, SHA256) for folder in ("shards", "latents"))
    failed = {str(number): "reason" for number in range(1, unit.size)}
    return Commit(plan=PLAN, tars=tars, samples=(CommittedSample("a", 512, 3, 512, 2),), failed=failed)


def left(storage: Storage, sizes: list[int]) -> list[Unit]:
    return list(remaining_units(sizes, committed_units(storage, sizes)))


def test_a_restart_does_the_plan_minus_the_commits(tmp_path: Path) -> None:
    """A shard done twice doubles its samples; one left out loses them."""
    storage, sizes = Storage.open(str(tmp_path)), [4, 4, 3]
    assert left(storage, sizes) == [Unit(0, 0, 4), Unit(1, 0, 4), Unit(2, 0, 3)]
    write_commit(storage, Unit(1, 0, 4), commit_of(Unit(1, 0, 4)))
    first, second = Unit(0, 0, 4), Unit(1, 0, 4)
    assert read_commit(storage, second, PLAN) == commit_of(second)
    assert dict(read_commits(storage, [first, second], PLAN)) == {first: None, second: commit_of(second)}
    assert left(storage, sizes) == [Unit(0, 0, 4), Unit(2, 0, 3)]


def test_committed_parts_of_a_shard_leave_the_gaps(tmp_path: Path) -> None:
    """After a shard was halved, doing it whole again would double the parts that are done."""
    storage, sizes = Storage.open(str(tmp_path)), [8]
    first, second = Unit(0, 0, 8).halves()
    assert (first.name, second.name) == ("000000.0-4", "000000.4-8")
    write_commit(storage, second.halves()[0], commit_of(second.halves()[0]))
    assert left(storage, sizes) == [Unit(0, 0, 4, False), Unit(0, 6, 8, False)]
    for unit in left(storage, sizes):
        write_commit(storage, unit, commit_of(unit))
    assert left(storage, sizes) == []
    write_commit(storage, Unit(0, 0, 8), commit_of(Unit(0, 0, 8)))
    assert committed_units(storage, sizes) == [Unit(0, 0, 8)], "a whole shard replaces its parts"


def test_parts_that_overlap_are_settled_the_same_by_everybody(tmp_path: Path) -> None:
    """Two drivers may cut one shard into other parts; a clip in two of them would be doubled."""
    storage, sizes = Storage.open(str(tmp_path)), [8]
    for start, stop in ((0, 2), (2, 4), (2, 5), (4, 8)):
        write_commit(storage, Unit(0, start, stop, False), commit_of(Unit(0, start, stop, False)))
    assert committed_units(storage, sizes) == [Unit(0, 0, 2, False), Unit(0, 2, 5, False)]
    assert left(storage, sizes) == [Unit(0, 5, 8, False)]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"plan": "settings-others"}, "of another plan"),
        ({"failed": {}}, "1 samples and 0 failures"),
        ({"tars": ()}, "its tars are in"),
        ({"tars": (CommittedTar("../000000.a1.tar", 600, SHA256),)}, "its tars are in"),
        ({"tars": (CommittedTar("shards/../000000.a1.tar", 600, SHA256),)}, "it names shards/../000000"),
        ({"tars": (CommittedTar("shards/000001.a1.tar", 600, SHA256),)}, "it names shards/000001"),
        ({"samples": (CommittedSample("a", -1, 3, 512, 2),)}, "it places a at -1"),
        ({"samples": (CommittedSample("a", 512, 99, 512, 2),)}, "it places a at 512, 99 bytes"),
        ({"samples": (CommittedSample("a", 512, 3),)}, "it places a at None"),
        ({"tars": (CommittedTar("shards/000000.a1.tar", 600, ""),)}, "the sha256 ''"),
    ],
)
def test_a_commit_that_says_what_none_can_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    """What it names decides what is read and what is kept; old commits next to a new plan would mix up clips."""
    storage, unit = Storage.open(str(tmp_path)), Unit(0, 0, 4)
    write_commit(storage, unit, replace(commit_of(unit), **changes))
    with pytest.raises(InputError, match=problem):
        read_commit(storage, unit, PLAN)


@pytest.mark.parametrize(
    "name", ["0000000.json", "000009.json", "000000.2-9.json", "000000.3-3.json", "x", "a/000000.json"]
)
def test_what_is_no_commit_of_the_plan_is_named(tmp_path: Path, name: str) -> None:
    """A commit that somebody renamed looks like none, and its shards like left-overs."""
    storage = Storage.open(str(tmp_path))
    storage.write(f"commits/{name}", b"{}")
    with pytest.raises(InputError, match=f"holds commits/{name}, which is not a commit of its plan"):
        committed_units(storage, [4])


def test_other_files_beside_commits_do_not_count(tmp_path: Path) -> None:
    """A half-written file of a killed worker must not be taken for a commit."""
    storage = Storage.open(str(tmp_path))
    storage.write("commits/000000.json.ab12.part", b"{")
    assert left(storage, [4]) == [Unit(0, 0, 4)]


def test_a_write_is_whole_or_absent(tmp_path: Path) -> None:
    """What fails in the middle must leave the old object and no remains."""
    storage = Storage.open(str(tmp_path))
    storage.write("a/b.json", b"old")
    with pytest.raises(TypeError):
        storage.write("a/b.json", "not bytes")  # type: ignore[arg-type]
    assert storage.read("a/b.json") == b"old"
    assert storage.keys("") == ("a/b.json",)


def test_a_file_becomes_an_object_and_a_folder_goes_as_a_whole(tmp_path: Path) -> None:
    """Remains of a removed folder would be listed as what they are no longer; its neighbours must stay."""
    storage, local = Storage.open(str(tmp_path / "store")), tmp_path / "large.bin"
    local.write_bytes(bytes(range(256)) * 9000)
    storage.write_file("run/step/large.bin", local)
    storage.write("run/step/deep/er.json", b"{}")
    storage.write("run/step2/kept.json", b"{}")
    assert storage.read("run/step/large.bin") == local.read_bytes()
    storage.remove_folder("run/step")
    storage.remove_folder("run/never")
    assert storage.keys("") == ("run/step2/kept.json",)
    assert not (tmp_path / "store" / "run" / "step").exists()


def test_a_unit_has_one_name() -> None:
    """The commit's place is what a restart looks for."""
    assert Unit(7, 0, 4).commit_key == "commits/000007.json"
    assert Unit(7, 2, 4, False).commit_key == "commits/000007.2-4.json"
