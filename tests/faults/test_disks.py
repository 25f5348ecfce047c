"""Disks that are full or read-only, and files where folders should be: one line, and no traceback, in every command."""

from __future__ import annotations

import contextlib
import ctypes
import io
import shutil
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.pretrain.run_folder import read_lines

from ..forked import Forked
from .watching import TRAIN

pytestmark = pytest.mark.slow

SHORT = ("--stages.images.steps", "1", "--stages.video.steps", "1", "--stages.long.steps", "1")
NO_MOUNT = 77
_NEW_MOUNTS, _PRIVATE, _READ_ONLY, _DETACH = 0x20000, 1 << 18 | 1 << 14, 1 << 5 | 1, 2
"""Flags of the system calls unshare, mount and umount2."""


def say(*words: object) -> tuple[int, list[str]]:
    """The exit code of a command and what it wrote to stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main([str(word) for word in words])
    return code, said.getvalue().splitlines()


def commands(run: Path, weights: Path, data: str, out: Path) -> dict[str, tuple[object, ...]]:
    """Every command that writes, each into a folder of its name below `out`."""
    return {
        "train": (*TRAIN, "--run", out / "train", "--data.url", data, *SHORT),
        "export": ("export", run, out / "export"),
        "generate": ("generate", weights, "--prompt", "x", "--num-frames", "1", "--out", out / "generate" / "v.mp4"),
    }


def on_bad_disks(data: str, place: str) -> int:
    """In a process of its own, whose mounts nobody else sees: each command on a read-only disk and on a full one."""
    system, disk, run, weights = ctypes.CDLL(None), Path(place) / "disk", Path(place) / "run", Path(place) / "weights"
    disk.mkdir()
    if system.unshare(_NEW_MOUNTS) or system.mount(b"none", b"/", None, _PRIVATE, None):
        return NO_MOUNT
    assert say(*TRAIN, "--run", run, "--data.url", data, *SHORT)[0] == 0
    assert say("export", run, weights)[0] == 0
    for name, words in commands(run, weights, data, disk).items():
        for is_full in (False, True):
            if system.mount(b"tmpfs", bytes(disk), b"tmpfs", 0, b"size=1m"):
                return NO_MOUNT
            (disk / name).mkdir()
            if is_full:
                fill(disk / "fill")
            else:
                system.mount(b"none", bytes(disk), None, _READ_ONLY, None)
            code, said = say(*words)
            assert code == (1 if is_full else 2), said
            assert any(part in said[-1] for part in ("the disk is full", "Read-only", "cannot be written")), said
            system.umount2(bytes(disk), _DETACH)
    return 0


def fill(file: Path) -> None:
    """Fill the disk of a file."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as full:
        while full.write(bytes(4096)):
            pass


def test_bad_disks(debug_data: str, tmp_path: Path) -> None:
    """A person must learn which disk it is; a trace of thirty lines does not say that."""
    process = Forked(on_bad_disks, debug_data, str(tmp_path))
    said = process.communicate()[1]
    if process.returncode == NO_MOUNT:
        pytest.skip("no file system can be mounted here")
    assert process.returncode == 0, said[-5000:]


@pytest.mark.parametrize("name", ["metrics.jsonl", "events.jsonl", "health", "preempted", "checkpoints", ".lock"])
def test_the_wrong_kind_in_a_run(name: str, debug_data: str, tmp_path: Path) -> None:
    """A folder where a file should be, or the reverse: a wrong mount, or a slip of the hand."""
    wrong = tmp_path / "run" / name
    if name in ("health", "checkpoints"):
        wrong.parent.mkdir()
        wrong.touch()
    else:
        wrong.mkdir(parents=True)
    code, said = say(*TRAIN, "--run", tmp_path / "run", "--data.url", debug_data, *SHORT)
    assert code == 2
    assert str(tmp_path / "run") in said[-1]
    assert name in said[-1]


def test_bytes_of_a_damaged_disk_in_the_records_of_a_run(debug_data: str, tmp_path: Path) -> None:
    """A machine that lost power leaves blocks of zeros and halves of lines: the run must go on, and be read."""
    run = tmp_path / "run"
    words = (*TRAIN, "--run", run, "--data.url", debug_data, *SHORT)
    assert say(*words)[0] == 0
    for name in ("metrics.jsonl", "events.jsonl", "validation.jsonl"):
        with (run / name).open("ab") as file:
            file.write(b'{"step": 1, "x": "\xff"}\n\xff\xfe\n' + bytes(64) + b"\n5\n")
    assert say("diagnose", run)[0] in (0, 1)
    assert say("export", run, tmp_path / "weights")[0] == 0
    shutil.rmtree(run / "checkpoints" / "step-00000003")
    assert say(*words)[0] == 0
    assert [line["step"] for line in read_lines(run / "metrics.jsonl")] == [0, 1, 2]
    with (run / "config.yaml").open("ab") as file:
        file.write(b"\xff")
    for command in (("diagnose", run), ("export", run, tmp_path / "other")):
        code, said = say(*command)
        assert (code, said[-1]) == (2, f"path={run / 'config.yaml'}: is not UTF-8 text; restore it")
