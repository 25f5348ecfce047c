"""One dataset of several shapes, from films to packs: what the planner may choose, every later step must carry."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from videoar.data_pipeline import ShardReader, open_manifest
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.loading.packing import PackSampler
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.preparing.stats import stats
from videoar.pretrain.model.vocabulary import BytesText
from videoar.tokenizer.config import ClipBucket, TokenizerSource
from videoar.tokenizer.scales import ScaleSchedule

from ..jobs import make_shards
from ..videos import picture, resized, scene, write_frames

TOKENIZER = TokenizerSource(preset="tiny", latent_dim=16)


@pytest.mark.slow
def test_samples_of_several_schedules_and_lengths_share_a_dataset(tmp_path: Path) -> None:
    """Shapes that got mixed up in a batch, a shard or a pack would decode to noise, or not at all."""
    raw = tmp_path / "raw"
    write_frames(raw / "film.mp4", resized(scene(0, 60), (96, 96)))
    write_frames(raw / "short.mp4", resized(scene(1, 20), (96, 96)))
    for i in range(3):
        write_frames(raw / f"still{i}.png", [picture(i, (64, 64))])
    shapes = [ClipBucket(schedule=name, num_frames=n) for name, n in (("96x96", 9), ("64x64", 5), ("32x32", 1))]
    dataset = DatasetConfig(
        name="mixed", source=SourceConfig(path=str(raw)), bucket=shapes[0], more_buckets=tuple(shapes[1:])
    )
    config = DataConfig(datasets=(dataset,), tokenizer=TOKENIZER, samples_per_shard=4)
    (item,) = plan_all(config, str(tmp_path / "out"))
    assert {total.schedule: total.num_clips for total in item.plan.buckets} == {"96x96": 2, "64x64": 1, "32x32": 3}
    make_shards(config, tmp_path / "out")
    manifest = open_manifest(item.storage.url)
    assert set(manifest.schedule_hashes) == {"96x96", "64x64", "32x32"}
    reader = ShardReader(manifest)
    for entry in manifest.entries:
        bits, latent = reader.read(entry).unpack(), reader.read_latent(entry)
        assert bits.shape == (entry.num_frames, ScaleSchedule.named(entry.schedule).tokens_per_frame, 16)
        assert latent is not None
        assert np.isfinite(latent.values).all()
    found = stats(item.storage.url)
    assert found.is_balanced
    assert found.num_samples == found.num_planned == 6
    assert found.num_tokens == sum(entry.video_tokens() for entry in manifest.entries)
    packs = PackSampler([manifest], [1.0], 256, 2, 0, BytesText(8)).window(0)
    together = [{entry.schedule for entry in pack.entries} for pack in packs]
    assert any(len(schedules) > 1 for schedules in together), "samples of several shapes are in one pack"
    assert max(Counter(pack.num_tokens for pack in packs)) <= 256
