"""Plans: what a folder gives, what it does not and why, and that a plan never changes."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.encoding.footage import FootageReader, open_clips
from videoar.data_pipeline.planning.choose import Clip, plan_clips
from videoar.data_pipeline.planning.plan_writer import ShardLimits
from videoar.data_pipeline.planning.stored_plan import ensure_plan, read_skipped
from videoar.data_pipeline.shards.sample_format import SampleFormat
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

from ..videos import frame_number, write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)
LIMITS = DecodeLimits(wall_s=60.0)
SHARDS = ShardLimits(max_clips=4, max_bytes=1 << 30)
LAYOUT = SampleFormat(
    schedule=ScaleSchedule.named("32x32"), tokenizer_hash="ab" * 8, latent="int8", latent_dim=16, fps=8.0
)


def dataset(folder: Path, bucket: ClipBucket = BUCKET, **source: object) -> DatasetConfig:
    return DatasetConfig(name="clips", source=SourceConfig(path=str(folder), **source), bucket=bucket)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two films, a short one, a slow one, an image, and three files that are not what their names say."""
    root = tmp_path / "raw"
    write_video(root / "a.mp4")
    (root / "a.txt").write_text("fading to white\n")
    write_video(root / "deep" / "b.mkv", num_frames=100)
    write_video(root / "short.mp4", num_frames=10)
    write_video(root / "slow.mp4", num_frames=20, fps=5)
    write_video(root / "still.png", num_frames=1)
    (root / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    (root / "zero.mp4").write_bytes(b"")
    (root / "notes.md").write_text("not a clip")
    return root


def test_everything_in_the_folder_is_a_clip_or_a_reason(folder: Path) -> None:
    """A file that vanished without a word is found out only when the counts are wrong."""
    os.mkfifo(folder / "pipe.mp4")
    (folder / "linked.mp4").symlink_to(folder / "a.mp4")
    clips, skipped = plan_clips(dataset(folder), LIMITS)
    assert Counter(clip.path for clip in clips) == {"a.mp4": 3, "deep/b.mkv": 6, "linked.mp4": 3}
    assert {clip.path: clip.caption for clip in clips} == {
        "a.mp4": "fading to white",
        "deep/b.mkv": "",
        "linked.mp4": "",
    }
    assert [clip.start_s for clip in clips[:3]] == [0.0, 0.625, 1.25]
    assert len({clip.key for clip in clips}) == 12
    reasons = {item.source: item.reason for item in skipped}
    assert set(reasons) == {"short.mp4", "slow.mp4", "still.png", "list.mp4", "zero.mp4", "pipe.mp4"}
    assert reasons["pipe.mp4"] == "is not a regular file"
    assert "shorter than one clip" in reasons["short.mp4"]
    assert "5 frames/s" in reasons["slow.mp4"]
    assert "image" in reasons["still.png"]
    for name in ("list.mp4", "zero.mp4"):
        assert "cannot be opened" in reasons[name]
        assert str(folder) not in reasons[name]


def test_options_of_a_dataset(folder: Path) -> None:
    """Strides, limits, mirrored variants and fractions of a source are what many epochs of a small set live on."""
    base = dataset(folder)
    counts = {
        "stride": dataclasses.replace(base, stride_s=0.125),
        "limit": dataclasses.replace(base, max_clips_per_source=2),
        "flip": dataclasses.replace(base, flip=True),
        "late": dataset(folder, start_fraction=0.6),
    }
    found = {name: plan_clips(config, LIMITS)[0] for name, config in counts.items()}
    assert {name: len(clips) for name, clips in found.items()} == {"stride": 40, "limit": 4, "flip": 18, "late": 3}
    assert [clip.mirrored for clip in found["flip"][:4]] == [False, True, False, True]
    assert [clip.path for clip in found["late"]] == ["a.mp4", "deep/b.mkv", "deep/b.mkv"]
    images, _ = plan_clips(dataset(folder, dataclasses.replace(BUCKET, num_frames=1)), LIMITS)
    assert "still.png" in {clip.path for clip in images}


def test_a_table_names_captions_labels_and_parts(folder: Path) -> None:
    """Two captions of two parts of one film must not get mixed up; a path outside the folder must not open."""
    table = folder / "captions.jsonl"
    rows = [
        {"path": "a.mp4", "caption": "first", "label": 2, "end_s": 1.0},
        {"path": "a.mp4", "caption": "second", "start_s": 1.0},
        {"path": "../raw/a.mp4", "caption": "outside"},
        {"path": "gone.mp4", "caption": "gone"},
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    clips, skipped = plan_clips(dataset(folder, captions=str(table)), LIMITS)
    assert [(clip.caption, clip.label, clip.start_s) for clip in clips] == [("first", 2, 0.0), ("second", None, 1.0)]
    reasons = Counter(item.reason.split(" it")[0] for item in skipped)
    assert reasons["the captions table names"] == 2
    assert reasons["the captions table does not name"] == 6
    csv = folder / "captions.csv"
    csv.write_text("path,caption,label\na.mp4,grey,\ndeep/b.mkv,long,1\n")
    clips, _ = plan_clips(dataset(folder, captions=str(csv)), LIMITS)
    assert {(clip.caption, clip.label) for clip in clips} == {("grey", None), ("long", 1)}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), ("file,text\na,b\n", "lacks the column caption, path"), ("", "lacks the column")],
)
def test_a_bad_captions_table_is_the_users_mistake(folder: Path, content: str | None, message: str) -> None:
    """Training on empty captions because of a typo in a path would be noticed a week later."""
    table = folder / "table.csv"
    if content is not None:
        table.write_text(content)
    with pytest.raises(InputError, match=message):
        plan_clips(dataset(folder, captions=str(table)), LIMITS)


def test_nothing_to_do_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    """An empty dataset that is reported as done would fail far away, in the sampler."""
    with pytest.raises(InputError, match="is not a folder"):
        plan_clips(dataset(tmp_path / "nowhere"), LIMITS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no video or image file"):
        plan_clips(dataset(tmp_path / "empty"), LIMITS)
    write_video(tmp_path / "one" / "short.mp4", num_frames=10)
    with pytest.raises(InputError, match="1 x is shorter than one clip"):
        plan_clips(dataset(tmp_path / "one"), LIMITS)


def test_a_plan_is_kept_and_other_settings_are_refused(folder: Path, tmp_path: Path) -> None:
    """Replanning over committed shards would give two meanings to one key."""
    storage = Storage.open(str(tmp_path / "out"))
    plan = ensure_plan(storage, dataset(folder), LAYOUT, SHARDS, LIMITS)
    assert plan.shard_sizes == [4, 4, 1]
    assert plan.shard(2) == plan.clips[8:]
    assert sum(item.is_input for item in read_skipped(storage)) == plan.num_skipped == 5
    write_video(folder / "new.mp4")
    assert ensure_plan(storage, dataset(folder), LAYOUT, SHARDS, LIMITS) == plan
    with pytest.raises(InputError, match="planned with other settings"):
        ensure_plan(storage, dataset(folder), dataclasses.replace(LAYOUT, tokenizer_hash="cd" * 8), SHARDS, LIMITS)
    again = ensure_plan(Storage.open(str(tmp_path / "two")), dataset(folder), LAYOUT, SHARDS, LIMITS)
    assert len(again.clips) == len(plan.clips) + 3


@pytest.mark.parametrize("processes", [1, 2])
def test_footage_comes_in_plan_order_with_a_reason_where_there_is_none(folder: Path, processes: int) -> None:
    """Shards name their samples by position in the plan; two decoders must not swap them."""
    config = dataclasses.replace(dataset(folder), flip=True)
    clips, _ = plan_clips(config, LIMITS)
    (folder / "a.mp4").write_bytes((folder / "a.mp4").read_bytes()[:-500])
    with FootageReader(config.source, LIMITS, processes) as reader:
        footage = list(reader.read(clips))
    assert [item.clip for item in footage] == clips
    for item in footage:
        if item.clip.path == "a.mp4":
            assert item.frames is None
            assert item.reason == "the file has changed since the plan was made"
        else:
            assert item.frames is not None
            assert frame_number(item.frames[0]) == round(item.clip.start_s * 25 - 1e-3) % 64


def test_open_clips_gives_pixels_and_leaves_out_what_fails(folder: Path) -> None:
    """A tokenizer is trained on what can be decoded; a bad file must not end the training."""
    clips = list(open_clips(SourceConfig(path=str(folder)), BUCKET, limits=LIMITS))
    assert len(clips) == 9
    assert clips[0].shape == (5, 32, 32, 3)
    drawn = open_clips(SourceConfig(kind="shapes", num_clips=3), BUCKET)
    assert len(list(drawn)) == 3


def test_stopping_early_leaves_no_decoder_behind(folder: Path) -> None:
    """A consumer that has enough must not wait for the rest to be decoded."""
    clips, _ = plan_clips(dataclasses.replace(dataset(folder), stride_s=0.05), LIMITS)
    with FootageReader(SourceConfig(path=str(folder)), LIMITS, 2) as reader:
        footage = reader.read(clips)
        assert isinstance(next(footage).clip, Clip)
        footage.close()
