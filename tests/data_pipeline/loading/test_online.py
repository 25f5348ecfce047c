"""A plan without shards: samples, packs and order are those of its shards; failures are reported, or replaced."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline import open_manifest
from videoar.data_pipeline.config.data import DataConfig, LatentPayload
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.decoding.client import DecodeLimits, VideoDecoder
from videoar.data_pipeline.loading.loader import StepLoader
from videoar.data_pipeline.loading.online import FailedClip, open_plans
from videoar.data_pipeline.loading.pack_reader import PackReader
from videoar.data_pipeline.loading.packing import LoaderState, PackSampler, StepPlan, deal
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.model.vocabulary import BytesText
from videoar.tokenizer.config import ClipBucket

from ..jobs import config, films, make_shards, shapes
from ..videos import picture, resized, scene, write_frames, write_video

TEXT = BytesText(16)
CPU = torch.device("cpu")


def mixed(folder: Path) -> DatasetConfig:
    """Films and pictures in two shapes, mirrored too: several clips of a file, several shapes in a shard."""
    write_frames(folder / "film.mp4", resized(scene(0, 75), (96, 96)))
    write_frames(folder / "other.mkv", resized(scene(1, 50), (96, 96)))
    for i in range(3):
        write_frames(folder / f"still{i}.png", [picture(i, (64, 64))])
    return DatasetConfig(
        name="mixed",
        source=SourceConfig(path=str(folder)),
        bucket=ClipBucket(schedule="64x64", num_frames=5),
        more_buckets=(ClipBucket(schedule="32x32", num_frames=1),),
        flip=True,
    )


def opened(data: DataConfig, url: Path, cache_bytes: int = 1 << 20) -> dict[str, Manifest]:
    return open_plans(data, str(url), [dataset.name for dataset in data.datasets], CPU, cache_bytes)


def prepared(data: DataConfig, url: Path) -> dict[str, Manifest]:
    """The shards of a configuration, made by the actor's own worker."""
    make_shards(data, url)
    return {dataset.name: open_manifest(f"{url}/{dataset.name}") for dataset in data.datasets}


def content(sample: Sample) -> tuple[object, ...]:
    """Everything that training reads of a sample."""
    entry, latent = sample.entry, sample.latent
    stored = latent and (latent.values.tobytes(), latent.scale is not None and latent.scale.tobytes())
    return entry.key, entry.sample_id, entry.schedule, entry.label, sample.bits.tobytes(), stored, sample.text.tolist()


def steps_of(
    manifests: Sequence[Manifest], count: int = 4, state: LoaderState | None = None, share: int = 0, shares: int = 1
) -> tuple[list[list[tuple[object, ...]]], LoaderState]:
    """What some steps read, by pack, and the state after them."""

    def mine(step: StepPlan) -> list[int]:
        return deal(step.packs, shares)[share]

    loader, packs, state = LoaderConfig(prefetch_steps=2), [], state or LoaderState()
    sampler = PackSampler(manifests, [1.0] * len(manifests), 256, 2, 0, TEXT)
    reader = PackReader(manifests, TEXT, loader, latents=True)
    with StepLoader(sampler, reader, state, mine, loader) as steps:
        for _ in range(count):
            _, read, state = next(steps)
            packs += [[content(sample) for sample in pack] for pack in read]
    reader.close()
    return packs, state


@pytest.mark.slow
@pytest.mark.parametrize("latent", ["int8", "fp16", "none"])
def test_packs_are_those_of_the_shards_byte_for_byte(tmp_path: Path, latent: LatentPayload) -> None:
    """A sample that came out otherwise would make a run without shards another run."""
    datasets = [shapes(num_clips=22)] if latent != "int8" else [shapes(num_clips=22), mixed(tmp_path / "raw")]
    data = config(*datasets, samples_per_shard=20, latent=latent, decode_processes=2)
    shards = prepared(data, tmp_path / "out")
    plans = opened(data, tmp_path / "out")
    assert {name: one.hash for name, one in plans.items()} == {name: one.hash for name, one in shards.items()}
    expected, after = steps_of(list(shards.values()))
    read = {key for pack in expected for key, *_ in pack}
    assert all(read >= {entry.key for entry in manifest.entries} for manifest in shards.values())
    assert steps_of(list(plans.values())) == (expected, after)


@pytest.mark.slow
def test_going_on_and_other_processes_change_nothing(tmp_path: Path) -> None:
    """Every process decodes its own packs, from any step on, with a memory too small to keep them."""
    data = config(shapes(num_clips=6), samples_per_shard=2)
    plan_all(data, str(tmp_path))
    whole, after = steps_of(list(opened(data, tmp_path).values()), 2)
    _, middle = steps_of(list(opened(data, tmp_path, cache_bytes=0).values()), 1)
    left, right = (steps_of(list(opened(data, tmp_path, 0).values()), 1, middle, share, 2) for share in (0, 1))
    assert left[1] == right[1] == after
    assert sorted([*left[0], *right[0]]) == sorted(whole[2:])


@pytest.mark.slow
def test_a_small_dataset_is_decoded_once(tmp_path: Path) -> None:
    """Epochs over a few clips would otherwise decode them forever."""
    data = config(films(tmp_path / "raw"))
    write_video(tmp_path / "raw" / "a.mp4")
    plan_all(data, str(tmp_path / "out"))
    manifests = opened(data, tmp_path / "out")
    expected, _ = steps_of(list(manifests.values()), 3)
    (tmp_path / "raw" / "a.mp4").unlink()
    assert steps_of(list(manifests.values()), 3)[0] == expected


def test_a_clip_that_fails_ends_the_run_by_name_or_is_stood_in_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without shards nobody has found out before; silence would change the data, and a crash would not say why."""
    raw = tmp_path / "raw"
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        write_video(raw / name, num_frames=20)
    data = config(films(raw))
    plan_all(data, str(tmp_path / "out"))
    (raw / "b.mp4").write_bytes((raw / "b.mp4").read_bytes()[:600])
    (manifest,) = opened(data, tmp_path / "out").values()
    plan = PackSampler([manifest], [1.0], 256, 1, 0, TEXT).window(0)[0]
    reader = PackReader([manifest], TEXT, LoaderConfig())
    with pytest.raises(FailedClip, match=r"b\.mp4: gives no clip .*changed since the plan.*max_missing_shards"):
        reader.read(plan)
    reader.close()
    reader = PackReader([manifest], TEXT, LoaderConfig(max_missing_shards=1))
    with caplog.at_level(logging.WARNING):
        samples = reader.read(plan)
    reader.close()
    ((name, lost),) = reader.missing
    assert name == "films"
    assert sum("skipped (1 of at most 1)" in record.message for record in caplog.records) == 1
    for planned, sample in zip(plan.entries, samples, strict=True):
        assert sample.entry.key == planned.key or (planned.key == lost and sample.entry.key != lost)


def test_signals_to_the_whole_job_leave_the_decoders_at_work(tmp_path: Path) -> None:
    """Ctrl-C and preemption reach every process: a decoder that died of them would count as a clip that failed."""
    path = str(write_video(tmp_path / "a.mp4"))
    with VideoDecoder(DecodeLimits()) as decoder:
        first = decoder.probe(path)
        (pid,) = (int(process) for process in children())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(pid, number)
        assert decoder.probe(path) == first
        assert [int(process) for process in children()] == [pid]


def children() -> list[str]:
    """Decoders of this process."""
    own = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    found = [pid for path in own for pid in path.read_text().split()]
    return [pid for pid in found if b"decoding.sandbox.main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_the_plan_of_another_recipe_is_refused(tmp_path: Path) -> None:
    """Its clips would be cut or quantised otherwise than the recipe says; where there is none, nothing is guessed."""
    data = config(shapes())
    with pytest.raises(InputError, match="videoar data plan"):
        opened(data, tmp_path)
    plan_all(data, str(tmp_path))
    with pytest.raises(InputError, match="planned with other settings"):
        opened(replace(data, latent="fp16"), tmp_path)
