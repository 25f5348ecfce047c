"""Batches of random clips: functions of seed, step and number, from every kind of source, by its weight."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare
from videoar.data_pipeline.tokenizer_clips.batches import RandomClips
from videoar.data_pipeline.tokenizer_clips.decoded import DecodedClips

from ..videos import write_frames, write_video
from .recipes import PICTURE, PLAIN, VIDEO, files, recipe_of

SHAPES = ClipShare(source=SourceConfig(kind="shapes", num_clips=10), weight=0.5)
VARIED = AugmentConfig(zoom=2.0, max_stride=3, flip=True, reverse=True, contrast=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("hold", ["files", "memory"])
def test_a_clip_is_a_function_of_seed_step_and_number(films: Path, hold: str) -> None:
    """Processes share a batch, with any number of decoders; and a resumed run sees the same clips."""
    share = ClipShare(source=SourceConfig(path=str(films)), hold=hold)  # type: ignore[arg-type]
    recipe = recipe_of(share, SHAPES, augment=VARIED, seed=3)
    with RandomClips(recipe) as clips:
        whole = [clips(step, range(4)) for step in range(4)]
    assert [tuple(batch.shape) for batch in whole[:2]] == [(4, 3, 5, 32, 32), (4, 3, 1, 48, 48)], "they take turns"
    assert all(batch.abs().max() <= 1 for batch in whole)
    with RandomClips(replace(recipe, decode_processes=2)) as second:
        for step in (2, 3):  # resumed at step 2
            assert torch.equal(second(step, range(2, 4)), whole[step][2:]), "the second process of two"
        assert torch.equal(second(1, range(4)), whole[1]), "any step, in any order"
    with RandomClips(recipe_of(share, SHAPES, augment=VARIED, seed=4)) as other:
        assert not torch.equal(other(2, range(4)), whole[2])


@pytest.mark.parametrize("kind", ["shapes", "world"])
def test_drawings_need_no_files(kind: str) -> None:
    """The demo mixes them with three films."""
    share = ClipShare(source=SourceConfig(kind=kind, num_clips=3))  # type: ignore[arg-type]
    with RandomClips(recipe_of(share, buckets=[VIDEO], steps=1)) as clips:
        assert clips(0, range(2)).shape == (2, 3, 5, 32, 32)
    with pytest.raises(InputError, match=r"hold=memory: applies to files only"):
        replace(share, hold="memory")


def write_tar(folder: Path) -> SourceConfig:
    write_video(folder / "loose" / "clip.mp4", num_frames=30)
    with tarfile.open(folder / "clips.tar", "w") as tar:
        tar.add(folder / "loose" / "clip.mp4", "a/clip.mp4")
    return SourceConfig(kind="webdataset", path=str(folder / "clips.tar"))


def write_table(folder: Path) -> SourceConfig:
    write_video(folder / "clip.mp4", num_frames=30)
    (folder / "clips.csv").write_text("uri,caption\nclip.mp4,a film\n")
    return SourceConfig(kind="table", path=str(folder / "clips.csv"))


def write_ucf101(folder: Path) -> SourceConfig:
    for group in (1, 8):
        write_video(folder / "UCF-101" / "TaiChi" / f"v_TaiChi_g0{group}_c01.avi", num_frames=30)
    lists = folder / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 TaiChi\n")
    (lists / "trainlist01.txt").write_text("TaiChi/v_TaiChi_g08_c01.avi 1\n")
    (lists / "testlist01.txt").write_text("TaiChi/v_TaiChi_g01_c01.avi\n")
    (folder / "UCF-101" / "TaiChi" / "v_TaiChi_g01_c01.avi").write_bytes(b"of the other part: never opened")
    return SourceConfig(kind="ucf101", path=str(folder))


@pytest.mark.parametrize("write", [write_tar, write_table, write_ucf101])
@pytest.mark.parametrize("hold", ["files", "memory"])
def test_every_kind_of_source_gives_clips(tmp_path: Path, write: Callable[[Path], SourceConfig], hold: str) -> None:
    """Frame i has the level 4 i, so that a clip of 8 frames a second rises by 12 or 13 from frame to frame."""
    tmp_path.joinpath("data").mkdir()
    share = ClipShare(source=write(tmp_path / "data"), hold=hold)  # type: ignore[arg-type]
    with RandomClips(recipe_of(share, buckets=[VIDEO], steps=1)) as clips:
        rises = clips(0, range(4)).mean(dim=(1, 3, 4)).diff(dim=1) * 127.5
    assert rises.min() > (9 if hold == "files" else 1)
    assert rises.max() < (16 if hold == "files" else 7)


@pytest.mark.slow
@pytest.mark.parametrize("hold", ["files", "memory"])
def test_held_out_parts_are_never_read(tmp_path: Path, hold: str) -> None:
    """Reconstruction is measured on them: frames that were trained on would make it look better."""
    write_video(tmp_path / "a.mp4", num_frames=60)
    levels = {}
    for name, part in {"train": (0.0, 0.8), "test": (0.8, 1.0)}.items():
        source = SourceConfig(path=str(tmp_path), start_fraction=part[0], end_fraction=part[1])
        share = ClipShare(source=source, hold=hold)  # type: ignore[arg-type]
        buckets = [replace(VIDEO, fps=25.0), replace(PICTURE, schedule="32x32")]
        with RandomClips(recipe_of(share, buckets=buckets, steps=6, batch_size=8)) as clips:
            found = torch.cat([clips(step, range(8)).mean(dim=(1, 3, 4)).flatten() for step in range(6)])
        levels[name] = (found + 1) * 127.5 / 4
    assert levels["train"].max() < 48
    assert levels["test"].min() > 47
    assert levels["train"].min() < 2
    assert levels["test"].max() > 57, "all of both parts is seen"


@pytest.mark.slow
@pytest.mark.parametrize("hold", ["files", "memory"])
def test_pictures_fill_single_frames_only_by_weight(tmp_path: Path, hold: str) -> None:
    """A picture as a film of 17 equal frames would teach that nothing moves."""
    write_video(tmp_path / "films" / "grey.mp4", num_frames=20)
    write_frames(tmp_path / "films" / "white.png", [torch.full((48, 64, 3), 255, dtype=torch.uint8).numpy()])
    write_frames(tmp_path / "white" / "white.png", [torch.full((48, 64, 3), 255, dtype=torch.uint8).numpy()])
    shares = [files(weight=weight, path=tmp_path / name) for name, weight in {"films": 1.0, "white": 3.0}.items()]
    shares = [replace(share, hold=hold) for share in shares]  # type: ignore[type-var]
    single = replace(VIDEO, num_frames=1)
    with RandomClips(recipe_of(*shares, buckets=[VIDEO, single], steps=2, batch_size=32)) as clips:
        assert clips(0, range(32)).amax() < 0.5, "no picture among the videos"
        share = (clips(1, range(32)).mean(dim=(1, 2, 3, 4)) > 0.9).float().mean()
    assert share == pytest.approx(7 / 8, abs=0.12), "three of four, and half of the fourth"


@pytest.mark.parametrize("hold", ["files", "memory"])
def test_a_bucket_that_no_source_fills_is_refused(tmp_path: Path, hold: str) -> None:
    write_video(tmp_path / "still.png", num_frames=1)
    share = ClipShare(source=SourceConfig(path=str(tmp_path)), hold=hold)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^train\.buckets=5 frames: .*pictures only"):
        RandomClips(recipe_of(share))


def test_few_files_are_held_in_memory_and_more_are_not(tmp_path: Path) -> None:
    """The demo's three films train on one core, which cannot decode them too; thousands do not fit."""
    auto = ClipShare(source=SourceConfig(path=str(write_video(tmp_path / "one" / "a.png", num_frames=1).parent)))
    large = replace(PICTURE, schedule="256x256")
    (tmp_path / "more").mkdir()
    for i in range(5):
        (tmp_path / "more" / f"{i}.mp4").write_bytes(b"listed, not opened")
    more = ClipShare(source=SourceConfig(path=str(tmp_path / "more")))
    for share, bucket, is_held in ((auto, PICTURE, True), (auto, large, False), (more, PICTURE, False)):
        clips = RandomClips(recipe_of(share, buckets=[bucket], augment=PLAIN))
        assert any(isinstance(maker, DecodedClips) for maker in clips._makers) is not is_held
        clips.close()


def test_every_wrong_source_is_named_at_once(tmp_path: Path) -> None:
    """By its place in the recipe: `source.path` alone does not say which of five sources."""
    shares = [ClipShare(source=SourceConfig(path=str(tmp_path / name))) for name in ("a", "b")]
    with pytest.raises(InputError) as error:
        RandomClips(recipe_of(*shares))
    assert [line.partition("=")[0] for line in str(error.value).splitlines()] == [
        "clips.0.source.path",
        "clips.1.source.path",
    ]
