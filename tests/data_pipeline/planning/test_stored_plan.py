"""The stored plan: the same bytes for the same inputs, shards by count and by bytes, and sums that come out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.serialize import to_yaml
from videoar.configs.debug import recipe as debug_recipe
from videoar.data_pipeline.config.datasets import DatasetConfig, DuplicateConfig, FilterConfig, SourceConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.plan_writer import CLIP_SCHEMA, ShardLimits
from videoar.data_pipeline.planning.stored_plan import Plan, ensure_plan, read_plan
from videoar.data_pipeline.preparing.stats import stats
from videoar.data_pipeline.shards.sample_format import SampleFormat
from videoar.data_pipeline.sources.source import Skipped
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

from ..videos import scene, write_frames, write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)
LIMITS = DecodeLimits(wall_s=60.0)
LAYOUT = SampleFormat(
    schedule=ScaleSchedule.named("32x32"), tokenizer_hash="ab" * 8, latent="int8", latent_dim=16, fps=8.0
)


def shapes(num_clips: int) -> DatasetConfig:
    return DatasetConfig(name="s", source=SourceConfig(kind="shapes", num_clips=num_clips), bucket=BUCKET)


def make(
    folder: Path, dataset: DatasetConfig, max_clips: int = 4, max_bytes: int = 1 << 30, processes: int = 1
) -> Plan:
    limits = ShardLimits(max_clips=max_clips, max_bytes=max_bytes)
    return ensure_plan(Storage.open(str(folder)), dataset, LAYOUT, limits, LIMITS, processes=processes)


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """A plan whose bytes depend on time or on the number of decoders cannot be compared, nor trusted to be the same."""
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


def test_the_tables_hold_every_field() -> None:
    """A field that is not stored is silently its default when the plan is read again."""
    assert set(CLIP_SCHEMA.names) == {field.name for field in fields(Clip)}
    from videoar.data_pipeline.planning.plan_writer import SKIPPED_SCHEMA

    assert set(SKIPPED_SCHEMA.names) == {field.name for field in fields(Skipped)}


def test_shards_are_full_by_count_or_by_bytes(tmp_path: Path) -> None:
    """The bytes are promised: tars that are larger than planned do not fit where they were meant to."""
    by_count = make(tmp_path / "count", shapes(10))
    assert by_count.shard_sizes == [4, 4, 2]
    (total,) = by_count.buckets
    each = total.size_bytes // 10
    header, tokens = len(LAYOUT.header(2, "bits", 0)), LAYOUT.schedule.tokens_per_frame
    bits, latent = header + 2 * tokens * 16 // 8, header + 2 * 16 * (4 + 2 * 2)
    assert LAYOUT.member_bytes(2) == (bits, latent)
    assert each == 512 + -(-bits // 512) * 512 + 512 + -(-latent // 512) * 512
    by_bytes = make(tmp_path / "bytes", shapes(40), max_clips=99, max_bytes=20480)
    room = (20480 // 2 - 1024) // (512 + max(-(-bits // 512), -(-latent // 512)) * 512)
    assert by_bytes.shard_sizes == [room] * (40 // room) + [40 % room]
    assert make(tmp_path / "tiny", shapes(3), max_bytes=1).shard_sizes == [1, 1, 1], "never an empty shard"
    assert by_bytes.clips[:10] == by_count.clips


@pytest.mark.slow
def test_planned_bytes_are_the_bytes_of_the_shards(debug_data: str) -> None:
    """Storage is bought by the plan."""
    for folder in Path(debug_data).iterdir():
        plan = read_plan(Storage.open(str(folder)))
        written = sum(path.stat().st_size for path in folder.glob("*/*.tar"))
        assert written == plan.size_bytes == stats(str(folder)).size_bytes


def test_a_long_plan_has_parts_that_are_read_one_at_a_time(tmp_path: Path) -> None:
    """A hundred million clips fit in no memory; each worker reads the part of its shard."""
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
    """Tables without their head are no plan; half of one must not be worked through."""
    whole = make(tmp_path / "out", shapes(10))
    (tmp_path / "out" / "plan.json").unlink()
    (tmp_path / "out" / "plan" / "000000.parquet").write_bytes(b"half")
    assert make(tmp_path / "out", shapes(10)) == whole


def test_the_command_tells_what_is_planned_and_stats_account_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person reads before paying for a cluster; what a script reads must be the same figures."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    write_video(raw / "a.mp4")
    write_video(raw / "short.mp4", num_frames=5)
    (raw / "zero.mp4").write_bytes(b"")
    dataset = DatasetConfig(name="films", source=SourceConfig(path=str(raw)), bucket=BUCKET, flip=True)
    recipe = debug_recipe()
    stage = replace(recipe.stages[0], mixture=(replace(recipe.stages[0].mixture[0], dataset="films"),))
    recipe = replace(recipe, data=replace(recipe.data, datasets=(dataset,)), stages=(stage,))
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    assert main(["data", "plan", str(tmp_path / "r.yaml"), "--output", str(out)]) == 0
    told, progress = capsys.readouterr()
    lines = [line.split() for line in told.splitlines()]
    assert lines[1][:7] == ["films", "32x32,", "5", "frames", "1", "of", "3"]
    assert any("is shorter than one clip" in line and "filtered" in line for line in told.splitlines())
    assert json.loads(progress.splitlines()[-1])["total"] == 3
    assert main(["data", "plan", str(tmp_path / "r.yaml"), "--output", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["num_inputs"], facts["num_planned_inputs"], facts["num_clips"]) == (3, 1, 6)
    assert main(["data", "stats", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["is_balanced"]
    assert (found["num_planned"], found["num_remaining"], found["num_samples"]) == (6, 6, 0)
    assert sum(sum(reasons.values()) for reasons in found["inputs_out"].values()) == 2
    assert main(["data", "plan", str(tmp_path / "r.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_debug_recipe_counts_out(tmp_path: Path) -> None:
    """Drawn clips are inputs like any other."""
    planned = plan_all(debug_recipe().data, str(tmp_path))
    for item in planned:
        found = stats(item.storage.url)
        assert found.is_balanced
        assert found.num_inputs == found.num_planned == found.num_remaining == 24
