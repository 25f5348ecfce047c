"""One unit of work: clips of the plan → pixels → latents and bits → one tar and its commit. Knows nothing of Ray."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float32, UInt8

from videoar.data_pipeline.commits import SHARDS, Commit, CommittedSample, Unit, write_commit
from videoar.data_pipeline.config import DataConfig, DatasetConfig
from videoar.data_pipeline.decode import DecodeLimits
from videoar.data_pipeline.footage import Footage, FootageReader
from videoar.data_pipeline.payload import SampleFormat, write_sample
from videoar.data_pipeline.plan_table import Plan, read_plan
from videoar.data_pipeline.shards import pack_shard
from videoar.data_pipeline.storage import Storage
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

_PIXELS_A_BATCH = 1 << 22
_CLIPS_A_BATCH = 16
_LARGEST_FP16 = 65_504.0


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitResult:
    """What a finished unit adds to the counts."""

    num_samples: int
    size_bytes: int
    reasons: tuple[str, ...]
    """Why clips failed, one each."""


class UnitWorker:
    """Makes the shards of a job; owns a tokenizer and the decoders. Reads plans itself, so units are only numbers."""

    def __init__(self, config: DataConfig, output: str, tokenizer: VideoTokenizer, device: torch.device) -> None:
        self._config, self._output = config, Storage.open(output)
        self._tokenizer, self._device = tokenizer.to(device), device
        self._hash = tokenizer.hash
        self._plans: dict[str, Plan] = {}

    def run(self, dataset: DatasetConfig, unit: Unit) -> UnitResult:
        """Make one unit and commit it."""
        plan = self._plan(dataset.name)
        layout = sample_format(dataset, self._config, self._tokenizer, self._hash)
        failed: dict[str, str] = {}
        samples: list[tuple[str, bytes]] = []
        with FootageReader(
            dataset.source, dataset.bucket, limits(self._config), self._config.decode_processes
        ) as reader:
            footage = _good(reader.read(plan.shard(unit.shard)[unit.start : unit.stop]), failed)
            while batch := list(islice(footage, clips_a_batch(dataset.bucket))):
                samples += self._tokenize(layout, batch, failed)
        return self._commit(dataset.name, unit, plan, samples, failed)

    def _plan(self, dataset: str) -> Plan:
        if dataset not in self._plans:
            self._plans[dataset] = read_plan(self._output.child(dataset))
        return self._plans[dataset]

    def _tokenize(
        self, layout: SampleFormat, batch: Sequence[Footage], failed: dict[str, str]
    ) -> Iterator[tuple[str, bytes]]:
        """Key and payload of each clip of a batch whose latent is usable."""
        frames = np.stack([item.frames for item in batch if item.frames is not None])
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

    def _commit(
        self, dataset: str, unit: Unit, plan: Plan, samples: Sequence[tuple[str, bytes]], failed: dict[str, str]
    ) -> UnitResult:
        storage = self._output.child(dataset)
        tar, offsets = pack_shard(samples) if samples else (b"", ())
        name = f"{SHARDS}/{unit.name}.{uuid.uuid4().hex[:12]}.tar" if samples else ""
        if samples:
            storage.write(name, tar)
        places = tuple(
            CommittedSample(key, offset, len(payload)) for (key, payload), offset in zip(samples, offsets, strict=True)
        )
        commit = Commit(
            config_hash=plan.config_hash, tar=name, size_bytes=len(tar), sha256=hashlib.sha256(tar).hexdigest(),
            samples=places, failed=failed,
        )  # fmt: skip
        write_commit(storage, unit, commit)
        return UnitResult(num_samples=len(samples), size_bytes=len(tar), reasons=tuple(failed.values()))


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


def clips_a_batch(bucket: ClipBucket) -> int:
    """Clips that are tokenized together: a function of the bucket alone, so that shards do not depend on the pool."""
    height, width = ScaleSchedule.named(bucket.schedule).pixels
    return max(1, min(_CLIPS_A_BATCH, _PIXELS_A_BATCH // (bucket.num_frames * height * width)))


def _good(footage: Iterator[Footage], failed: dict[str, str]) -> Iterator[Footage]:
    """The clips that have frames; the reasons of the others go on record."""
    for item in footage:
        if item.frames is None:
            failed[item.clip.key] = item.reason
        else:
            yield item
