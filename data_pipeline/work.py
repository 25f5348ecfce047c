"""One unit of work: clips of the plan → pixels → latents and bits → their tars and one commit. Knows nothing of Ray."""

from __future__ import annotations

import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float32, UInt8

from videoar.data_pipeline.commits import Commit, Unit, find_commit, write_commit
from videoar.data_pipeline.config import DataConfig, DatasetConfig
from videoar.data_pipeline.decode import DecodeLimits
from videoar.data_pipeline.footage import Footage, FootageReader
from videoar.data_pipeline.payload import Members, SampleFormat, write_sample
from videoar.data_pipeline.plan import Clip
from videoar.data_pipeline.plan_table import Plan, read_plan
from videoar.data_pipeline.shard_writer import ShardWriter
from videoar.data_pipeline.storage import Storage, full_disk_said_plainly
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.scales import ScaleSchedule

_PIXELS_A_BATCH = 1 << 22
_CLIPS_A_BATCH = 16
_LARGEST_FP16 = 65_504.0


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitResult:
    """What a finished unit adds to the counts."""

    num_samples: int
    size_bytes: int
    failed: dict[str, int]
    """Clips that became no sample, by reason."""

    @property
    def num_clips(self) -> int:
        return self.num_samples + sum(self.failed.values())

    @staticmethod
    def of(commit: Commit) -> UnitResult:
        """What a commit says."""
        return UnitResult(
            num_samples=len(commit.samples), size_bytes=commit.size_bytes, failed=dict(Counter(commit.failed.values()))
        )


class UnitWorker:
    """Makes the shards of a job; owns a tokenizer and the decoders. Reads plans itself, so units are only numbers."""

    def __init__(self, config: DataConfig, output: str, tokenizer: VideoTokenizer, device: torch.device) -> None:
        self._config, self._output = config, Storage.open(output)
        self._datasets = {dataset.name: dataset for dataset in config.datasets}
        self._tokenizer, self._device = tokenizer.to(device), device
        self._hash = tokenizer.hash
        self._plans: dict[str, Plan] = {}
        self._readers: dict[str, FootageReader] = {}
        self.num_clips = 0
        """Clips that were worked through so far: while it grows, the worker is alive."""

    def run(self, name: str, unit: Unit) -> UnitResult:
        """Make one unit of a dataset and commit it. One that another worker has committed meanwhile stands."""
        plan, storage = self._plan(name), self._output.child(name)
        if (commit := find_commit(storage, unit)) is None:
            with _spool() as bits, _spool() as latents:
                commit = self._make(self._datasets[name], unit, plan, (bits, latents))
            write_commit(storage, unit, commit)
        return UnitResult.of(commit)

    def close(self) -> None:
        """Stop the decoders."""
        while self._readers:
            self._readers.popitem()[1].close()

    def _make(self, dataset: DatasetConfig, unit: Unit, plan: Plan, files: tuple[IO[bytes], IO[bytes]]) -> Commit:
        """The unit's tars, first on the local disk (in memory they could be too large), then where they belong."""
        layout = sample_format(dataset, self._config, self._tokenizer, self._hash)
        failed: dict[str, str] = {}
        latents = files[1] if layout.latent != "none" else None
        with full_disk_said_plainly(tempfile.gettempdir()), ShardWriter(files[0], latents) as writer:
            footage = self._footage(dataset, plan.shard(unit.shard)[unit.start : unit.stop], failed)
            for batch in batches(footage):
                for key, members in self._tokenize(layout, batch, failed):
                    writer.add(key, members)
        tars = writer.tars(f"{unit.name}.{uuid.uuid4().hex[:12]}.tar") if writer.samples else ()
        for tar, file in zip(tars, files, strict=False):
            file.flush()  # nameless: a killed worker leaves nothing behind, and Linux opens it again like this
            self._output.child(dataset.name).write_file(tar.key, f"/proc/self/fd/{file.fileno()}")
        return Commit(config_hash=plan.config_hash, tars=tars, samples=tuple(writer.samples), failed=failed)

    def _plan(self, dataset: str) -> Plan:
        if dataset not in self._plans:
            self._plans[dataset] = read_plan(self._output.child(dataset))
        return self._plans[dataset]

    def _footage(self, dataset: DatasetConfig, clips: Sequence[Clip], failed: dict[str, str]) -> Iterator[Footage]:
        """The clips that have frames; the reasons of the others go on record."""
        if dataset.name not in self._readers:
            self._readers[dataset.name] = FootageReader(
                dataset.source, limits(self._config), self._config.decode_processes
            )
        for item in self._readers[dataset.name].read(clips):
            self.num_clips += 1
            if item.frames is None:
                failed[item.clip.key] = item.reason
            else:
                yield item

    def _tokenize(
        self, layout: SampleFormat, batch: Sequence[Footage], failed: dict[str, str]
    ) -> Iterator[tuple[str, Members]]:
        """Key and members of each clip of a batch whose latent is usable."""
        frames = np.stack([item.frames for item in batch if item.frames is not None])
        layout = replace(layout, schedule=ScaleSchedule.named(batch[0].clip.schedule))
        latents, bits = self._encode(frames, layout.schedule)
        largest = _LARGEST_FP16 if layout.latent == "fp16" else float(np.finfo(np.float32).max)
        for item, latent, code in zip(batch, latents, bits, strict=True):
            if np.isfinite(latent).all() and np.abs(latent).max() <= largest:
                yield item.clip.key, write_sample(layout, code, latent)
            else:
                failed[item.clip.key] = f"its latent is not finite, or too large for latent={layout.latent}"

    def _encode(
        self, frames: UInt8[np.ndarray, "b f h w 3"], schedule: ScaleSchedule
    ) -> tuple[Float32[np.ndarray, "b t k hh ww"], Bool[np.ndarray, "b t n k"]]:
        pixels = torch.from_numpy(frames).to(self._device)
        video = rearrange(pixels, "b f h w c -> b c f h w").float() / 127.5 - 1
        latent = self._tokenizer.encode(video)
        bits = self._tokenizer.quantize(latent, schedule)
        return rearrange(latent, "b k t h w -> b t k h w").contiguous().cpu().numpy(), bits.cpu().numpy()


def _spool() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="videoar-shard-")


def sample_format(
    dataset: DatasetConfig, config: DataConfig, tokenizer: VideoTokenizer, tokenizer_hash: str
) -> SampleFormat:
    """The format of a dataset's samples."""
    return SampleFormat(
        schedule=ScaleSchedule.named(dataset.bucket.schedule), tokenizer_hash=tokenizer_hash, latent=config.latent,
        latent_dim=tokenizer.config.latent_dim, fps=dataset.bucket.fps,
    )  # fmt: skip


def limits(config: DataConfig) -> DecodeLimits:
    """What one source may cost, as configured."""
    return DecodeLimits(wall_s=config.decode_timeout_s)


def batches(footage: Iterable[Footage]) -> Iterator[list[Footage]]:
    """Clips of one shape that are tokenized together, each as soon as it is full: a function of the clips alone."""
    waiting: dict[tuple[str, int], list[Footage]] = {}
    for item in footage:
        shape = item.clip.schedule, item.clip.num_frames
        batch = waiting.setdefault(shape, [])
        batch.append(item)
        if len(batch) == clips_a_batch(*shape):
            yield waiting.pop(shape)
    yield from waiting.values()


def clips_a_batch(schedule: str, num_frames: int) -> int:
    """Clips that are tokenized together: a function of their shape alone, so that shards do not depend on the pool."""
    height, width = ScaleSchedule.named(schedule).pixels
    return max(1, min(_CLIPS_A_BATCH, _PIXELS_A_BATCH // (num_frames * height * width)))
