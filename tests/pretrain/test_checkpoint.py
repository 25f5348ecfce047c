"""Checkpoints: any layout reads what any other wrote; damaged ones are refused by name and older ones serve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from videoar.pretrain import checkpoint
from videoar.pretrain.checkpoint import Checkpoint, CorruptCheckpoint, Cut, Fragment


def write(root: Path, step: int, parts: list[list[Fragment]]) -> Path:
    folder = checkpoint.begin(root)
    manifests = [checkpoint.write_part(folder, rank, fragments) for rank, fragments in enumerate(parts)]
    return checkpoint.commit(root, folder, manifests, {"step": step})


def fragment(name: str, whole: Tensor, cut: Cut | None, start: int, stop: int) -> Fragment:
    flat = (cut.of(whole) if cut else whole).reshape(-1)[start:stop]
    return Fragment(name, tuple(whole.shape), cut, start, {"master": flat, "exp_avg": 2 * flat})


@pytest.mark.parametrize("dim", [0, 1])
def test_cuts_and_slices_join_to_the_whole(tmp_path: Path, dim: int) -> None:
    """A parameter cut along either dimension and sliced again, as by ZeRO, must come back element for element."""
    whole = torch.arange(48.0).view(6, 8)
    cuts = [Cut(dim, index, 2) for index in range(2)]
    parts = [[fragment("w", whole, cut, 0, 7)] for cut in cuts] + [[fragment("w", whole, cut, 7, 24)] for cut in cuts]
    read = Checkpoint(write(tmp_path, 1, parts))
    assert torch.equal(read.read("w"), whole)
    assert torch.equal(read.read("w", "exp_avg"), 2 * whole)
    assert not read.has("ema")


def test_a_fragment_reads_its_own_slice_of_the_whole() -> None:
    """`of` must name the same elements that the writer took, or a resharded run would load shifted moments."""
    whole = torch.arange(48.0).view(6, 8)
    piece = fragment("w", whole, Cut(1, 1, 2), 5, 11)
    assert torch.equal(piece.of(whole), piece.states["master"])


def test_a_missing_slice_is_refused(tmp_path: Path) -> None:
    """A part that was never written must not be read as whatever memory held."""
    whole = torch.arange(48.0).view(6, 8)
    read = Checkpoint(write(tmp_path, 1, [[fragment("w", whole, None, 0, 40)]]))
    with pytest.raises(CorruptCheckpoint, match="40 of 48"):
        read.read("w")


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """A flipped bit must send the run back to the newest whole checkpoint, and say which one was damaged."""
    for step in (1, 2):
        whole = torch.full((4, 4), float(step))
        folder = write(tmp_path, step, [[fragment("w", whole, None, 0, 16)]])
    part = folder / "part-00000.safetensors"
    content = bytearray(part.read_bytes())
    if damage == "flip":
        content[-3] ^= 4
        part.write_bytes(content)
    elif damage == "truncate":
        part.write_bytes(content[:-1])
    elif damage == "remove":
        part.unlink()
    else:
        (folder / "manifest.json").write_text("{")
    newest = checkpoint.newest(tmp_path)
    assert newest is not None
    assert newest.meta["step"] == 1
    assert "step-00000002" in caplog.text


def test_a_save_that_was_killed_leaves_nothing_to_read(tmp_path: Path) -> None:
    """Files without a manifest are no checkpoint, and the next save removes them."""
    folder = checkpoint.begin(tmp_path)
    checkpoint.write_part(folder, 0, [fragment("w", torch.ones(4, 4), None, 0, 16)])
    assert checkpoint.newest(tmp_path) is None
    write(tmp_path, 3, [[fragment("w", torch.ones(4, 4), None, 0, 16)]])
    assert not folder.exists()
    assert (tmp_path / "latest").read_text() == "step-00000003"


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    """A run of weeks must not fill the disk."""
    for step in range(1, 6):
        write(tmp_path, step, [[fragment("w", torch.ones(2, 2), None, 0, 4)]])
    checkpoint.remove_old(tmp_path, keep_last=2)
    assert [folder.name for folder in sorted(tmp_path.glob("step-*"))] == ["step-00000004", "step-00000005"]


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    """Loading must execute nothing: the format is JSON and safetensors, and stays readable by other tools."""
    folder = write(tmp_path, 1, [[fragment("w", torch.ones(2, 2), None, 0, 4)]])
    assert json.loads((folder / "manifest.json").read_text())["format"] == checkpoint.FORMAT
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".safetensors"]
