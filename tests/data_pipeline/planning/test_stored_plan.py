"""The stored plan: equal inputs give equal bytes, and a plan never changes."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig, DuplicateConfig, FilterConfig, SourceConfig
from videoar.data_pipeline.planning.plan_writer import ShardLimits
from videoar.data_pipeline.planning.stored_plan import ensure_plan, read_plan, read_skipped
from videoar.data_pipeline.storage.objects import Storage

from ..datasets import BUCKET, FORMAT, LIMITS, dataset
from ..videos import scene, write_frames, write_video
from .plans import make, shapes

SHARDS = ShardLimits(max_clips=4, max_bytes=1 << 30)


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """A plan whose bytes depended on time or on the number of decoders could not be compared with another."""
    for seed in range(3):
        write_frames(tmp_path / "raw" / f"{seed}.mp4", scene(seed, 40))
    (tmp_path / "raw" / "bad.mp4").write_bytes(b"no film")
    config = DatasetConfig(
        name="c",
        source=SourceConfig(path=str(tmp_path / "raw")),
        bucket=BUCKET,
        filters=FilterConfig(min_motion=0.01),
        duplicates=DuplicateConfig(method="hash"),
    )
    plans = [make(tmp_path / name, config, processes=count) for name, count in (("one", 1), ("two", 3))]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert plans[0].hash == plans[1].hash
    assert set(contents(tmp_path / "one")) == {"plan.json", "plan/000000.parquet", "skipped.parquet"}
    assert plans[0].clips[0].motion == pytest.approx(0.2, rel=0.3)
    write_frames(tmp_path / "raw" / "0.mp4", scene(7, 40))
    assert make(tmp_path / "three", config).hash != plans[0].hash, "a file that changed is another plan"


def test_a_long_plan_has_parts_that_are_read_one_at_a_time(tmp_path: Path) -> None:
    """A large plan does not fit into memory; each worker must read only the part of its shard."""
    plan = make(tmp_path / "out", shapes(300), max_clips=2)
    assert [part.first_shard for part in plan.parts] == [0, 64, 128]
    assert len(plan.shard_sizes) == 150
    assert [clip.path for clip in plan.shard(149)] == ["298", "299"]
    assert [clip.path for clip in plan.shard(63)] == ["126", "127"]
    assert [clip.path for clip in plan.clips] == [str(i) for i in range(300)]
    part = tmp_path / "out" / "plan" / "000001.parquet"
    raw = bytearray(part.read_bytes())
    raw[100] ^= 1
    part.write_bytes(raw)
    damaged = read_plan(Storage.open(str(tmp_path / "out")))
    assert len(damaged.shard(0)) == 2
    with pytest.raises(InputError, match=r"plan/000001\.parquet is damaged"):
        damaged.shard(64)


def test_a_plan_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    """Tables without their head are not a plan: half a plan must not be prepared."""
    whole = make(tmp_path / "out", shapes(10))
    (tmp_path / "out" / "plan.json").unlink()
    (tmp_path / "out" / "plan" / "000000.parquet").write_bytes(b"half")
    assert make(tmp_path / "out", shapes(10)) == whole


def test_a_plan_is_kept_and_other_settings_are_refused(films: Path, tmp_path: Path) -> None:
    """A new plan over committed shards would give one key two meanings."""
    storage = Storage.open(str(tmp_path / "out"))
    plan = ensure_plan(storage, dataset(films), FORMAT, SHARDS, LIMITS)
    assert plan.shard_sizes == [4, 4, 1]
    assert plan.shard(2) == plan.clips[8:]
    assert sum(item.is_input for item in read_skipped(storage)) == plan.num_skipped == 5
    write_video(films / "new.mp4")
    assert ensure_plan(storage, dataset(films), FORMAT, SHARDS, LIMITS) == plan
    with pytest.raises(InputError, match=r"planned with other settings \(hash of data.tokenizer was abab"):
        ensure_plan(storage, dataset(films), dataclasses.replace(FORMAT, tokenizer_hash="cd" * 8), SHARDS, LIMITS)
    again = ensure_plan(Storage.open(str(tmp_path / "two")), dataset(films), FORMAT, SHARDS, LIMITS)
    assert len(again.clips) == len(plan.clips) + 3
