"""Files of others stay, and unfinished ones do not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.files import (
    check_folder,
    filled_folder,
    first_stranger,
    refuse_existing,
    write_atomically,
    written_aside,
)
from videoar.cluster.ground.processes.surroundings import explained


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """A disk that is full in the middle of a write must cost neither the old file nor the space of half a new one."""
    path = tmp_path / "x.txt"
    write_atomically(path, "old")
    (tmp_path / "link.txt").symlink_to(path)
    with pytest.raises(OSError, match="full"), written_aside(path) as aside:
        _fail(aside)
    assert path.read_text() == "old"
    write_atomically(tmp_path / "link.txt", "new")
    assert path.read_text() == "new"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["link.txt", "x.txt"]


def test_two_writers_of_a_file_do_not_meet(tmp_path: Path) -> None:
    """They wrote into one temporary file: the result was damaged, and the other one failed."""
    path = tmp_path / "x.txt"
    with written_aside(path) as first, written_aside(path) as second, written_aside(path) as third:
        for name, aside in (("first", first), ("second", second), ("third", third)):
            aside.write_text(name)
    assert path.read_text() == "first", "the last that ends wins"
    assert [item.name for item in tmp_path.iterdir()] == ["x.txt"]


def test_what_a_killed_writer_left_is_used_again(tmp_path: Path) -> None:
    """A name of its own for each attempt would fill the folder with halves."""
    (tmp_path / ".x.txt.writing").write_text("a long half")
    with written_aside(tmp_path / "x.txt") as aside:
        assert aside.read_text() == ""
        aside.write_text("new")
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("x.txt", "new")]


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_is_filled_when_it_is_complete(tmp_path: Path, exists: bool) -> None:
    """Files of the former content go, those of others stay, and a failed attempt changes nothing."""
    out = tmp_path / "out"
    if exists:
        out.mkdir()
        for name in ("head", "stale", "theirs"):
            (out / name).write_text("old")
    with pytest.raises(OSError, match="full"), filled_folder(out, ("head", "stale"), last="head") as aside:
        _fail(aside / "head")
    assert [path.read_text() for path in tmp_path.glob("out/*")] == ["old"] * 3 * exists
    with filled_folder(out, ("head", "stale"), last="head") as aside:
        for name in ("head", "deep/er"):
            (aside / name).parent.mkdir(exist_ok=True)
            (aside / name).write_text("new")
    found = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert found == {"head": "new", "deep/er": "new"} | ({"theirs": "old"} if exists else {})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def _fail(path: Path) -> None:
    path.write_text("half")
    raise OSError("full")


def test_what_is_not_ours_is_found(tmp_path: Path) -> None:
    """In a folder below, behind a link and in place of the folder; what a killed attempt left is ours."""
    assert first_stranger(tmp_path / "absent", ()) is None
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "own").touch()
    (tmp_path / ".writing").mkdir()
    (tmp_path / ".writing" / "half").touch()
    assert first_stranger(tmp_path, {"deep/own"}) is None
    (tmp_path / "link").symlink_to("/")
    assert first_stranger(tmp_path, {"deep/own"}) == "link"
    assert first_stranger(tmp_path / "link" / "proc" / "version", ()) == "version"


def test_files_and_folders_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    """Before the work, and without making anything."""
    (tmp_path / "x").touch()
    with pytest.raises(InputError, match=r"out=.*exists; name another file, or add --force"):
        refuse_existing("out", tmp_path / "x", force=False)
    refuse_existing("out", tmp_path / "x", force=True)
    with pytest.raises(InputError, match="is a folder"):
        refuse_existing("out", tmp_path, force=True)
    with pytest.raises(InputError, match="is not a folder"):
        check_folder("out", tmp_path / "x" / "deep")
    check_folder("out", tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_folder_has_one_writer_and_left_overs_of_killed_ones_are_replaced(tmp_path: Path) -> None:
    """Two exports at once deleted each other's files in the middle."""
    out = tmp_path / "out"
    with filled_folder(out, last="b") as first:
        (first / "b").write_text("1")
        with pytest.raises(InputError, match="is being written by another process"), filled_folder(out, last="b"):
            pytest.fail("a second writer got in")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b", "out"]
    killed = out / ".writing"
    killed.mkdir()
    (killed / ".claim").touch()
    with filled_folder(out, last="b") as again:
        (again / "b").write_text("2")
    assert (out / "b").read_text() == "2"
    assert not killed.exists()


class Killed(BaseException):
    """What nothing catches."""


def test_a_killed_replacement_does_not_look_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New weights under an old description opened without a word; and nothing could be written there any more."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a", "b", "head"):
        (out / name).write_text("old")
    replace, moved = os.replace, []

    def stopping(source: Path, target: Path) -> None:
        if moved:
            raise Killed
        moved.append(target)
        replace(source, target)

    def written() -> None:
        with filled_folder(out, ("a", "b", "head"), last="head") as aside:
            for name in ("a", "b", "head"):
                (aside / name).write_text("new")

    monkeypatch.setattr(os, "replace", stopping)
    monkeypatch.setattr("videoar.cluster.ground.files.discard", lambda path: None)  # a killed process tidies nothing up
    with pytest.raises(Killed):
        written()
    assert not (out / "head").exists()
    monkeypatch.undo()
    written()
    assert {path.name: path.read_text() for path in out.iterdir()} == dict.fromkeys(("a", "b", "head"), "new")


def test_what_is_not_ours_is_not_taken_for_a_left_over(tmp_path: Path) -> None:
    """A folder of others with that name was deleted without a word."""
    (tmp_path / "out" / ".writing").mkdir(parents=True)
    (tmp_path / "out" / ".writing" / "x").write_text("mine")
    with pytest.raises(InputError, match="is in the way"), filled_folder(tmp_path / "out", last="b"):
        pytest.fail("it was taken")
    assert (tmp_path / "out" / ".writing" / "x").read_text() == "mine"


def test_a_name_that_the_system_does_not_take_is_the_field_s(tmp_path: Path) -> None:
    """A message about a path does not say which option it was."""
    long = tmp_path / ("x" * 300)
    for check in (lambda: check_folder("run", long), lambda: refuse_existing("run", long, force=True)):
        with pytest.raises(InputError, match=r"run=.*File name too long"):
            check()


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    """Python's error of a write has no name, and there may be several disks."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as said, written_aside(tmp_path / "rows.json"):
        raise full
    assert str(explained(said.value)).startswith(f"{tmp_path / 'rows.json'}: the disk is full")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    """Somebody cleans up while an evaluation runs, or the file is a link to where nothing is."""
    (tmp_path / "link").symlink_to("absent/rows.json")
    for path in (tmp_path / "absent" / "rows.json", tmp_path / "link"):
        with pytest.raises(StoreError, match=r"absent/rows.json: cannot be written, its folder is gone; make it"):
            write_atomically(path, "text")
