"""Samples per second of the training loader, compared with the plain webdataset library on the same tars.

Both check every sample. webdataset walks the tars in their order; the loader reads the samples of packs, in the random
order of training, planning and packing included. Both return packed bits, which training unpacks on its device; in a
second measurement each pack (webdataset: each sample) is unpacked on the CPU. With a URL, the same shards are also read
from there through a warm cache.
"""

from __future__ import annotations

import io
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset

from videoar.benchmarks.floor import measured_peaks
from videoar.benchmarks.measure import Cost, alternate, interquartile_ranges, medians
from videoar.data_pipeline.config.data import LatentPayload
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.loading.loader import StepLoader
from videoar.data_pipeline.loading.pack_reader import PackReader, Packs
from videoar.data_pipeline.loading.packing import LoaderState, PackSampler
from videoar.data_pipeline.shards.commits import LATENTS, SHARDS, CommittedTar
from videoar.data_pipeline.shards.manifest import Manifest, ManifestWriter, open_manifest, sample_id
from videoar.data_pipeline.shards.on_device import unpack
from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry, StoredLatent
from videoar.data_pipeline.shards.sample_format import Members, SampleFormat, read_bits, read_latent, write_sample
from videoar.data_pipeline.shards.writer import ShardWriter
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.model.vocabulary import BytesText
from videoar.tokenizer.scales import ScaleSchedule

Pack = tuple[Sample, ...]

_TEXT = BytesText(256)
_ROUNDS = 5
_EPOCHS = 3
_CAPTION = "a caption of some eighty letters, as people write them about what a clip shows"
_STEP_S = 1.0
_CASES: dict[str, tuple[str, int, LatentPayload, int, int]] = {
    "ucf101": ("128x128", 5, "int8", 4096, 10_496),
    "video_256": ("256x256", 17, "none", 1024, 25_344),
}
"""(schedule, latent frames, payload, samples, tokens per pack) of each case."""


def run(url: str = "") -> dict[str, Any]:
    """Rates and ratios for two shapes of sample, and the share of time that a trainer with 1 s steps waits."""
    with tempfile.TemporaryDirectory() as folder:
        return {case: _case(case, Path(folder), url) for case in _CASES}


def _case(case: str, folder: Path, url: str) -> dict[str, Any]:
    schedule, num_frames, latent, count, tokens_per_pack = _CASES[case]
    layout = SampleFormat(
        schedule=ScaleSchedule.named(schedule), tokenizer_hash="00" * 8, latent=latent, latent_dim=48, fps=24.0
    )
    local = _write(str(folder / case), case, layout, num_frames, count)
    with ExitStack() as stack:

        def epoch(manifest: Manifest, config: LoaderConfig, use: Callable[[Pack], object] = len) -> Callable[[], None]:
            steps = stack.enter_context(_steps(manifest, tokens_per_pack, config))
            return lambda: _epoch(steps, count, use)

        calls: dict[str, Callable[[], object]] = {
            "webdataset": lambda: _exhaust(_by_webdataset(local, layout, num_frames)),
            "webdataset_unpacked": lambda: _exhaust(
                codes.unpack() for codes, _ in _by_webdataset(local, layout, num_frames)
            ),
            "one_thread": epoch(local, LoaderConfig(read_threads=1)),
            "loader": epoch(local, LoaderConfig()),
            "loader_unpacked": epoch(local, LoaderConfig(), _unpacked),
        }
        if url:
            remote, cached = _copy(local, f"{url.rstrip('/')}/{case}"), LoaderConfig(cache_dir=str(folder / "cache"))
            with _steps(remote, tokens_per_pack, cached) as steps:
                _epoch(steps, count, len)  # fills the cache
            calls["remote_warm"] = epoch(remote, cached)
        costs = alternate(calls, _ROUNDS)
    found = _figures(costs, local, count) | {"data_wait": _wait(local, tokens_per_pack)}
    if url:
        found["remote_over_local"] = _ratio(costs, "loader", "remote_warm")
    shutil.rmtree(folder / case)
    return found


def _figures(costs: dict[str, list[Cost]], local: Manifest, count: int) -> dict[str, Any]:
    """Rates, their spread, ratios, and the loader's time divided by the time to copy the same bytes."""
    seconds = {name: medians(taken)["wall_s"] for name, taken in costs.items()}
    rates = {name: _EPOCHS * count / value for name, value in seconds.items()}
    size_bytes = local.entries.payload_bytes(latents=True)
    return {
        "samples_per_s": rates,
        "interquartile_range": {
            name: interquartile_ranges(taken)["wall_s"] / seconds[name] for name, taken in costs.items()
        },
        "loader_over_webdataset": _ratio(costs, "webdataset", "loader"),
        "unpacked_over_webdataset_unpacked": _ratio(costs, "webdataset_unpacked", "loader_unpacked"),
        "bytes_per_s": _EPOCHS * size_bytes / seconds["loader"],
        "over_floor": seconds["loader"] / (_EPOCHS * 2 * size_bytes / _copy_rate()),
        "tokens_per_s": rates["loader"] * float(local.entries.video_tokens().mean()),
    }


def _copy_rate() -> float:
    """Bytes/s of a copy in memory, reads and writes: no loader hands over a sample faster than its bytes are copied."""
    return measured_peaks(torch.device("cpu"), torch.float32).bytes_per_s


def _ratio(costs: dict[str, list[Any]], base: str, other: str) -> float:
    """Median ratio of speeds over the rounds: how many times as fast the other is."""
    pairs = zip(costs[base], costs[other], strict=True)
    return statistics.median(one.wall_s / two.wall_s for one, two in pairs)


def _by_webdataset(
    manifest: Manifest, layout: SampleFormat, num_frames: int
) -> Iterator[tuple[PackedBits, StoredLatent | None]]:
    """Every sample of some epochs, checked; latents, if there are any, come from separate tars."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        bits, latents = (_tars(manifest, folder) for folder in (SHARDS, LATENTS))
        for _ in range(_EPOCHS):
            if layout.latent == "none":
                yield from ((read_bits(layout, num_frames, item["codes"]), None) for item in bits)
            else:
                for one, two in zip(bits, latents, strict=True):
                    yield read_bits(layout, num_frames, one["codes"]), read_latent(layout, num_frames, two["latent"])


def _tars(manifest: Manifest, folder: str) -> webdataset.WebDataset:
    storage = Storage.open(manifest.url)
    tars = [storage.path(key) for key in storage.keys(folder)]
    return webdataset.WebDataset(tars, shardshuffle=False, empty_check=False) if tars else []


@contextmanager
def _steps(manifest: Manifest, tokens_per_pack: int, config: LoaderConfig) -> Iterator[StepLoader[Packs]]:
    """Steps of eight packs, all of which this process reads."""
    sampler = PackSampler([manifest], [1.0], tokens_per_pack, 8, 0, _TEXT)
    with (
        closing(PackReader([manifest], _TEXT, config, latents=True)) as reader,
        StepLoader[Packs](sampler, reader, LoaderState(), lambda step: range(len(step.packs)), config) as steps,
    ):
        yield steps


def _epoch(steps: StepLoader[Packs], count: int, use: Callable[[Pack], object]) -> None:
    """Read the samples of some epochs."""
    left = _EPOCHS * count
    while left > 0:
        for pack in next(steps)[1]:
            use(pack)
            left -= len(pack)


def _unpacked(pack: Pack) -> object:
    """Unpack as training does, but on the CPU."""
    packed = np.concatenate([sample.codes.packed for sample in pack])
    return unpack(torch.from_numpy(packed), pack[0].codes.shape[1:])


def _wait(manifest: Manifest, tokens_per_pack: int) -> float:
    """Share of time that a trainer waits after the first step, with eight packs per step of one second."""
    waited = 0.0
    with _steps(manifest, tokens_per_pack, LoaderConfig()) as steps:
        next(steps)
        for _ in range(5):
            time.sleep(_STEP_S)
            begun = time.perf_counter()
            next(steps)
            waited += time.perf_counter() - begun
    return waited / (5 * _STEP_S + waited)


def _exhaust(items: Iterator[object]) -> None:
    for _ in items:
        pass


def _write(url: str, name: str, layout: SampleFormat, num_frames: int, count: int) -> Manifest:
    """Drawn samples in shards of 256; a few payloads are reused, because drawing takes longer than writing."""
    draws, storage = np.random.default_rng(0), Storage.open(url)
    h, w = layout.schedule.grid
    payloads = [
        write_sample(
            layout,
            draws.random((num_frames, layout.schedule.tokens_per_frame, layout.latent_dim)) > 0.5,
            draws.standard_normal((num_frames, layout.latent_dim, h, w)).astype(np.float32),
        )
        for _ in range(8)
    ]
    entries, tars = list[SampleEntry](), list[CommittedTar]()
    for shard, first in enumerate(range(0, count, 256)):
        samples = range(first, min(count, first + 256))
        entries += _write_shard(storage, name, layout, num_frames, shard, samples, payloads, tars)
    with ManifestWriter(storage, name, layout) as writer:
        writer.add(entries)
        writer.finish(tars, {})
    return open_manifest(url)


def _write_shard(
    storage: Storage,
    name: str,
    layout: SampleFormat,
    num_frames: int,
    shard: int,
    samples: range,
    payloads: list[Members],
    written: list[CommittedTar],
) -> list[SampleEntry]:
    """Write the tars of one shard; its samples as the manifest lists them."""
    files = [io.BytesIO() for _ in range(1 + (layout.latent != "none"))]
    with ShardWriter(*files) as writer:
        for number in samples:
            writer.add(f"clip_{number:08d}", payloads[number % len(payloads)])
    tars = writer.tars(f"{shard:06d}.drawn.tar")
    for tar, file in zip(tars, files, strict=True):
        storage.write(tar.key, file.getvalue())
    written += tars
    return [
        SampleEntry(
            key=place.key,
            sample_id=sample_id(name, place.key),
            dataset=name,
            schedule=layout.schedule.name,
            num_frames=num_frames,
            caption=_CAPTION,
            label=None,
            shard=tars[0].key,
            offset=place.offset,
            size_bytes=place.size_bytes,
            latent_shard=tars[1].key if tars[1:] else None,
            latent_offset=place.latent_offset,
            latent_bytes=place.latent_bytes,
        )
        for place in writer.samples
    ]


def _copy(manifest: Manifest, url: str) -> Manifest:
    source, target = Storage.open(manifest.url), Storage.open(url)
    for key in source.keys(""):
        target.write(key, source.read(key))
    return open_manifest(url)
