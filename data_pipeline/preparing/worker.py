"""Makes one unit of work: clips of the plan → pixels → latents and bits → tars and one commit. Does not use Ray."""

from __future__ import annotations

import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import torch

from videoar.cluster.ground.processes.surroundings import explain_full_disk
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.client import limits
from videoar.data_pipeline.encoding.encode import ClipEncoder, EncodedClip
from videoar.data_pipeline.encoding.footage import Footage, FootageReader
from videoar.data_pipeline.planning.choose import Clip
from videoar.data_pipeline.planning.stored_plan import Plan, read_plan
from videoar.data_pipeline.shards.commits import Commit, Unit, find_commit, write_commit
from videoar.data_pipeline.shards.writer import ShardWriter
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import VideoTokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitResult:
    """The counts of a finished unit."""

    num_samples: int
    size_bytes: int
    failed: dict[str, int]
    """The number of clips that gave no sample, by reason."""

    @property
    def num_clips(self) -> int:
        return self.num_samples + sum(self.failed.values())

    @staticmethod
    def of(commit: Commit) -> UnitResult:
        """The counts of a commit."""
        return UnitResult(
            num_samples=len(commit.samples), size_bytes=commit.size_bytes, failed=dict(Counter(commit.failed.values()))
        )


class UnitWorker:
    """Makes units; owns a tokenizer and the decoders. It reads the plans itself, so a unit is sent as numbers only."""

    def __init__(self, config: DataConfig, output: str, tokenizer: VideoTokenizer, device: torch.device) -> None:
        self._config, self._output = config, Storage.open(output)
        self._datasets = {dataset.name: dataset for dataset in config.datasets}
        self._encoder = ClipEncoder(config, tokenizer, device)
        self._plans: dict[str, Plan] = {}
        self._readers: dict[str, FootageReader] = {}
        self.num_clips = 0
        """Clips processed so far: the worker is alive while this number grows."""

    def run(self, name: str, unit: Unit) -> UnitResult:
        """Make one unit of a dataset and commit it. If another worker has already committed it, that commit
        counts."""
        plan, storage = self._plan(name), self._output.child(name)
        if (commit := find_commit(storage, unit, plan.identity)) is None:
            with _spool() as bits, _spool() as latents:
                commit = self._make(self._datasets[name], unit, plan, (bits, latents))
            write_commit(storage, unit, commit)
        return UnitResult.of(commit)

    def close(self) -> None:
        """Stop the decoders."""
        while self._readers:
            self._readers.popitem()[1].close()

    def _make(self, dataset: DatasetConfig, unit: Unit, plan: Plan, files: tuple[IO[bytes], IO[bytes]]) -> Commit:
        """Write the unit's tars to the local disk (they may not fit into memory), and upload them."""
        sample_format = self._encoder.sample_format(dataset)
        failed: dict[str, str] = {}
        latents = files[1] if sample_format.latent != "none" else None
        with explain_full_disk(tempfile.gettempdir()), ShardWriter(files[0], latents) as writer:
            footage = self._footage(dataset, plan.clips_of(unit))
            for clip in self._encoder.encode(dataset, footage):
                if isinstance(clip, EncodedClip):
                    writer.add(clip.key, clip.members)
                else:
                    failed[clip.key] = clip.reason
        tars = writer.tars(f"{unit.name}.{uuid.uuid4().hex[:12]}.tar") if writer.samples else ()
        for tar, file in zip(tars, files, strict=False):
            file.flush()  # it has no name, so a killed worker leaves nothing behind; Linux opens it by its descriptor
            self._output.child(dataset.name).write_file(tar.key, f"/proc/self/fd/{file.fileno()}")
        return Commit(plan=plan.identity, tars=tars, samples=tuple(writer.samples), failed=failed)

    def _plan(self, dataset: str) -> Plan:
        if dataset not in self._plans:
            self._plans[dataset] = read_plan(self._output.child(dataset))
        return self._plans[dataset]

    def _footage(self, dataset: DatasetConfig, clips: Sequence[Clip]) -> Iterator[Footage]:
        """The clips as pixels, counted one by one."""
        if dataset.name not in self._readers:
            self._readers[dataset.name] = FootageReader(
                dataset.source, limits(self._config), self._config.decode_processes
            )
        for item in self._readers[dataset.name].read(clips):
            self.num_clips += 1
            yield item


def _spool() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="videoar-shard-")
