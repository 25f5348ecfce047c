"""Checkpoints: any layout reads what any other wrote; damaged ones are refused by name and nothing in them runs."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint import format as checkpoint
from videoar.pretrain.checkpoint.format import CorruptCheckpoint, saved_steps
from videoar.pretrain.checkpoint.fragment import Cut, Fragment
from videoar.pretrain.checkpoint.saver import write_checkpoint
from videoar.pretrain.checkpoint.tidy import tidy

from .fragments import LAYOUTS, WHOLE, empty, fragment, opened


def write(root: Path, step: int, layout: str = "whole") -> Storage:
    storage = Storage.open(str(root))
    write_checkpoint(storage, [[fragment(*place)] for place in LAYOUTS[layout]], {"step": step})
    return storage


@pytest.mark.parametrize("written", LAYOUTS)
@pytest.mark.parametrize("read", LAYOUTS)
def test_any_layout_fills_any_other(tmp_path: Path, written: str, read: str) -> None:
    """A resumed run of another layout with one shifted element would train on, and be wrong."""
    write(tmp_path, 1, written)
    expected = [fragment(*place) for place in LAYOUTS[read]]
    found = [empty(each) for each in expected]
    opened(tmp_path, 1).fill(found)
    for a, b in zip(expected, found, strict=True):
        assert all(torch.equal(a.states[state], b.states[state]) for state in a.states)
    assert torch.equal(opened(tmp_path, 1).read("w", "exp_avg"), 2 * WHOLE)


def test_a_model_in_low_precision_is_filled_with_rounded_masters(tmp_path: Path) -> None:
    """The copy that a bf16 model computes with has another type, and under columns another order."""
    write(tmp_path, 1, "sliced")
    target = empty(fragment(*LAYOUTS["columns"][1]), torch.bfloat16)
    opened(tmp_path, 1).fill([Fragment(target.place, {"master": target.states["master"]})])
    assert torch.equal(target.states["master"], Cut(1, 1, 4).of(WHOLE).reshape(-1).bfloat16())


def test_a_missing_slice_is_refused(tmp_path: Path) -> None:
    """A part that was never written must not be read as uninitialised memory."""
    write_checkpoint(Storage.open(str(tmp_path)), [[fragment(None, 0, 90)]], {"step": 1})
    with pytest.raises(CorruptCheckpoint, match="90 of 96 elements of w"):
        opened(tmp_path, 1).read("w")


def damaged(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Apply a change to one part file of the newest step."""
    return lambda folder: change(sorted(folder.glob("00000-exp_avg-*"))[0])


def flip(part: Path) -> None:
    content = bytearray(part.read_bytes())
    content[-3] ^= 4
    part.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "flipped bit": (damaged(flip), r"00000-exp_avg-000.*altered"),
    "truncated": (damaged(lambda part: part.write_bytes(part.read_bytes()[:-1])), r"00000-exp_avg-000.*truncated"),
    "missing": (damaged(Path.unlink), r"00000-exp_avg-000.*cannot be read"),
    "no manifest": (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json"),
    "edited manifest": (
        lambda folder: (folder / "manifest.json").write_text(
            (folder / "manifest.json").read_text().replace('"step": 2', '"step": 3')
        ),
        "manifest.json: altered",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    """A flipped bit in a weight is a run that goes wrong for no reason anyone finds."""
    write(tmp_path, 2)
    change, message = DAMAGES[damage]
    change(tmp_path / "step-00000002")
    with pytest.raises(CorruptCheckpoint, match=message):
        opened(tmp_path, 2).fill([empty(fragment(None, 0, 96))])
    with pytest.raises(CorruptCheckpoint, match=message):
        opened(tmp_path, 2).verify()


class Payload:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("disguise", ["as a part", "under its own name"])
def test_a_crafted_pickle_is_refused_and_does_not_run(tmp_path: Path, disguise: str) -> None:
    """A person who can write a checkpoint folder must not run code in the trainer, even with correct hashes."""
    write(tmp_path, 1)
    folder = tmp_path / "step-00000001"
    part = sorted(folder.glob("00000-master-*"))[0]
    payload = pickle.dumps(Payload(tmp_path / "ran"))
    name = part.name if disguise == "as a part" else "00000-master-000.pkl"
    part.unlink()
    (folder / name).write_bytes(payload)
    text = (folder / "manifest.json").read_text().replace(part.name, name)
    body = json.loads(text)
    body["files"][name] = {"size_bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
    del body["sha256"]
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"sha256": digest, **body}))
    with pytest.raises(CorruptCheckpoint, match=name.replace(".", r"\.")):
        opened(tmp_path, 1).read("w")
    assert not (tmp_path / "ran").exists()


def test_a_save_that_was_killed_is_no_checkpoint_and_is_removed(tmp_path: Path) -> None:
    """Files without a manifest must neither be read nor fill the disk."""
    root = write(tmp_path, 1)
    for step, name in ((2, "00000-master-000.aa.safetensors"), (9, "00000-master-000.bb.safetensors")):
        root.write(f"step-{step:08d}/{name}", b"half")
    root.write("step-00000003/00001-master-000.dead.safetensors", b"of an earlier attempt at step 3")
    root.write("step-00000003/manifest.json.0123abcd.part", b"of an earlier attempt at step 3")
    theirs = ("step-00000001/notes.txt", "step-00000002/model.safetensors", "step-00000003/notes.txt")
    for key in theirs:
        root.write(key, b"of somebody else")
    assert saved_steps(root) == (1,)
    write(tmp_path, 3)
    tidy(root, 3, keep_last=5)
    assert saved_steps(root) == (1, 3)
    assert not list(tmp_path.glob("*/*.dead.*"))
    assert not list(tmp_path.glob("*/*.aa.*"))
    assert not list(tmp_path.glob("*/*.part"))
    tidy(root, 3, keep_last=1)
    assert [root.read(key) for key in theirs] == [b"of somebody else"] * 3
    assert (tmp_path / "step-00000009").exists(), "another process may be writing a later step"
    assert (tmp_path / "latest").read_text() == "step-00000003"


def test_the_newest_and_every_so_many_are_kept(tmp_path: Path) -> None:
    """A run of weeks must not fill the disk, nor lose what ablations start from."""
    for step in range(1, 8):
        root = write(tmp_path, step)
        tidy(root, step, keep_last=2, keep_every=3)
    assert saved_steps(root) == (3, 6, 7)
    assert sorted(path.name for path in tmp_path.glob("step-*")) == [f"step-{step:08d}" for step in (3, 6, 7)]


def test_damaged_later_ones_do_not_push_out_the_newest(tmp_path: Path) -> None:
    """A run that went back to step 8, past damaged ones, would lose with keep_last=1 what it saves and be left with
    nothing whole."""
    for step in (8, 12, 20, 10):
        root = write(tmp_path, step)
    tidy(root, 10, keep_last=1)
    assert saved_steps(root) == (10, 12, 20)
    opened(tmp_path, 10).verify()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [12, 8]),
        ("shape", "ab"),
        ("start", -5),
        ("start", "0"),
        ("start", 0.0),
        ("numel", 10**15),
        ("cut", {"dim": 1, "index": 0, "parts": 0}),
        ("cut", {"dim": 7, "index": 0, "parts": 3}),
        ("cut", {"dim": 0, "index": 0, "parts": 5}),
        ("cut", {"dim": 0, "index": 2, "parts": 2}),
        ("cut", {"dim": 0, "index": "x", "parts": 2}),
        ("files", []),
        ("files", {"master": ["x"]}),
        ("files", {"master": "../../etc/passwd"}),
    ],
)
def test_a_crafted_manifest_is_refused(tmp_path: Path, field: str, value: object) -> None:
    """A person who can write the folder can also write its digest: it must be skipped like any other damage."""
    root = write(tmp_path, 4)
    body = checkpoint.read_manifest(root.child("step-00000004"))
    body["fragments"][0][field] = value
    checkpoint._write_manifest(root, 4, body)
    with pytest.raises(CorruptCheckpoint):
        opened(tmp_path, 4).fill([empty(fragment(None, 0, 96))])


def test_a_manifest_nested_without_end_is_refused(tmp_path: Path) -> None:
    """The parser gives up with an error that is not a ValueError."""
    root = write(tmp_path, 4)
    root.write("step-00000004/manifest.json", b"[" * 200_000)
    with pytest.raises(CorruptCheckpoint):
        opened(tmp_path, 4)


def test_a_second_save_of_a_step_replaces_the_first(tmp_path: Path) -> None:
    """After a rewind a step is saved again: there is never a moment without a checkpoint, nor files of both after."""
    root = write(tmp_path, 4)
    before = set((tmp_path / "step-00000004").glob("*.safetensors"))
    write(tmp_path, 4, "rows")
    tidy(root, 4, keep_last=1)
    assert not before & set((tmp_path / "step-00000004").iterdir())
    assert opened(tmp_path, 4).read("w").equal(WHOLE)


def test_facts_of_a_checkpoint_can_be_amended(tmp_path: Path) -> None:
    """A rewind skips samples; killed right after, the run must resume past them too."""
    root = write(tmp_path, 4)
    checkpoint.amend(root, 4, {"loader": [7]})
    assert opened(tmp_path, 4).meta == {"step": 4, "loader": [7]}
    shutil.rmtree(tmp_path / "step-00000004")
    with pytest.raises(CorruptCheckpoint):
        opened(tmp_path, 4)
