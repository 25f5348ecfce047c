"""Kept groups: what is there is not measured again, parts are disjoint and whole, and damaged files are not trusted."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.preparing.part import Part
from videoar.pretrain.evaluate.kept import KeptRows, Measured, check_part

CLIPS = range(7)
TOLD = "3 of 7 clips were measured before"


def measured(clips: Sequence[int]) -> Measured:
    """A third has more digits than a decimal fraction; clip 4 cannot be read."""
    rows = [{"clip": clip, "third": clip / 3} for clip in clips if clip != 4]
    return Measured(rows, [[f"{clip}.mp4", "is damaged"] for clip in clips if clip == 4])


def never(clips: Sequence[int]) -> Measured:
    """What must not be asked."""
    raise AssertionError(f"{list(clips)} were measured before")


WHOLE = KeptRows().of("clips", CLIPS, 3, measured)


def test_an_interruption_in_a_group_loses_that_group_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where a disk fills up, a GPU fails or a scheduler kills."""
    caplog.set_level(logging.INFO)

    def fails(clips: Sequence[int]) -> Measured:
        if 3 in clips:
            raise OSError("the machine goes down")
        return measured(clips)

    with pytest.raises(OSError, match="goes down"):
        KeptRows(tmp_path).of("clips", CLIPS, 3, fails)
    assert [path.name for path in tmp_path.iterdir()] == ["clips-00000.json"]
    again, told = list[int](), list[tuple[int, int]]()

    def counted(clips: Sequence[int]) -> Measured:
        again.extend(clips)
        return measured(clips)

    assert KeptRows(tmp_path).of("clips", CLIPS, 3, counted, lambda *done: told.append(done)) == WHOLE
    assert (again, told) == ([3, 4, 5, 6], [(3, 7), (6, 7), (7, 7)])
    assert f"{TOLD}: their results are read from {tmp_path}" in caplog.messages
    assert KeptRows(tmp_path).of("clips", CLIPS, 3, never) == WHOLE, "with what could not be read, and why"


@pytest.mark.parametrize("count", [2, 3, 5])
def test_parts_are_the_whole_digit_for_digit(tmp_path: Path, count: int) -> None:
    """Groups are numbered over tasks, so that a part past the groups of the first has work in the second."""
    sizes = []
    for number in range(1, count + 1):
        kept = KeptRows(tmp_path, Part(number, count))
        found = [kept.of(task, CLIPS, 3, measured) for task in ("clips", "others")]
        sizes.append(sum(len(one.rows) + len(one.left_out) for one in found))
    assert (sum(sizes), min(sizes) > 0) == (14, True)
    joined = KeptRows(tmp_path)
    assert [joined.of(task, CLIPS, 3, never) for task in ("clips", "others")] == [WHOLE, WHOLE]


def test_a_part_without_groups_is_refused() -> None:
    """It would wait for a machine, and do nothing."""
    check_part(Part(6, 9), 6)
    with pytest.raises(InputError, match="part=7/9: has none of the 6 groups of clips; use fewer parts"):
        check_part(Part(7, 9), 6)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\0" * 64,
        '{"rows": [{"clip": 0, "third": 0.0}, {"cl',
        '{"rows": [], "left_out": []}',
        '{"rows": [1, 2, 3]}',
        "[1, 2, 3]",
        "[" * 100_000,
        '{"rows": 3, "left_out": 0}',
        '{"rows": [1, 2], "left_out": [3]}',
        '{"rows": [{}, {}], "left_out": [["5", "reason"]]}',
    ],
)
def test_a_file_that_is_not_whole_is_measured_again(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk or a power cut leaves such files: trusted, they would be a figure like any other."""
    KeptRows(tmp_path).of("clips", CLIPS, 3, measured)
    (tmp_path / "clips-00001.json").write_text(content)
    assert KeptRows(tmp_path).of("clips", CLIPS, 3, measured) == WHOLE
    assert f"{tmp_path / 'clips-00001.json'} is damaged: its 3 clips are computed again" in caplog.messages
    assert len(json.loads((tmp_path / "clips-00001.json").read_text())["rows"]) == 2


def test_processes_with_the_same_part_do_no_harm(tmp_path: Path) -> None:
    """A job that is queued again while its first process has not gone yet."""
    together = Barrier(4)

    def at_once(clips: Sequence[int]) -> Measured:
        together.wait()
        return measured(clips)

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(lambda: KeptRows(tmp_path).of("clips", CLIPS, 3, at_once)) for _ in range(4)]
    assert all(one.result() == WHOLE for one in asked)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"clips-{number:05d}.json" for number in range(3)]


@pytest.mark.parametrize("how", ["another group", "another evaluation", "another digit"])
def test_a_file_of_something_else_is_measured_again(how: str, tmp_path: Path) -> None:
    """It has the right form, and its figures would be counted in place of the group's."""
    here, there = (KeptRows(tmp_path / name, signature=name) for name in ("here", "there"))
    for kept in (here, there):
        kept.of("clips", CLIPS, 3, measured)
    file = tmp_path / "here" / "clips-00000.json"
    others = {"another group": file.with_name("clips-00001.json"), "another evaluation": tmp_path / "there" / file.name}
    text = others[how].read_text() if how in others else file.read_text().replace("0.33", "0.34")
    assert text != file.read_text()
    file.write_text(text)
    assert KeptRows(tmp_path / "here", signature="here").of("clips", CLIPS, 3, measured) == WHOLE
