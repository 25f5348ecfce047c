"""Everything that data preparation needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.tokenizer.config import TokenizerSource

LatentPayload = Literal["none", "int8", "fp16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Everything `videoar data run` needs, and where the trainer finds what it wrote."""

    datasets: tuple[DatasetConfig, ...]
    tokenizer: TokenizerSource = field(default_factory=TokenizerSource)
    url: str = ""
    """Prepared shards (a folder or fsspec URL); empty: the trainer prepares them under RUN/data first."""
    online: bool = False
    """Train on the plan at `url`, without shards: clips are decoded and tokenized on the training device as their turn
    comes, to the samples that the plan's shards would hold. Empty `url`: the plan is made under RUN/data first."""
    latent: LatentPayload = "int8"
    """The continuous latent beside the bits: `none`, `int8` (of the remainder, a scale a frame and channel) or `fp16`.
    Self-corrected targets need it (VideoAR Eq. 8)."""
    samples_per_shard: int = 512
    """Clips a shard: the unit of work and of loss."""
    max_shard_bytes: int = 1 << 30
    """A shard ends early before its tars together would be larger; the bytes are known from the plan."""
    actors: int = 1
    """Ray actors that decode and tokenize."""
    gpus_per_actor: float = 0.0
    """Fraction of a GPU an actor takes; 0: it tokenizes on the CPU, with one thread, so that shards have the same bytes
    whatever the number of actors."""
    decode_processes: int = 1
    """Decoder subprocesses an actor owns; with `online`, each training process for each dataset."""
    decode_timeout_s: float = 120.0
    """Seconds a decoder may spend on one source before it is killed and its clips are recorded as failed."""
    stall_timeout_s: float = 600.0
    """Seconds an actor may go without working through a clip before it is killed and its unit tried again."""
    max_failed_fraction: float = 0.5
    """The job stops when more than this fraction of a dataset's clips has failed, in all runs together."""
    max_attempts: int = 3
    """Worker deaths before a unit is halved and, at one clip, the clip is quarantined."""

    def __post_init__(self) -> None:
        refuse_credentials("data.url", self.url)
        names = [dataset.name for dataset in self.datasets]
        if not names:
            raise InputError("data.datasets", "[]", "names no dataset", "name at least one")
        if len(set(names)) != len(names):
            raise InputError("data.datasets", names, "are not distinct names", "name each dataset once")
        for name in ("actors", "decode_processes", "samples_per_shard", "max_attempts"):
            if getattr(self, name) < 1:
                raise InputError(f"data.{name}", getattr(self, name), "is below 1", "use 1 or more")
        if min(self.decode_timeout_s, self.max_shard_bytes) <= 0 or self.gpus_per_actor < 0:
            raise InputError(
                "data.decode_timeout_s",
                (self.decode_timeout_s, self.max_shard_bytes, self.gpus_per_actor),
                "(decode_timeout_s, max_shard_bytes, gpus_per_actor) is too low",
                "use more than 0 of the first two and 0 or more of the last",
            )
        if not 0 <= self.max_failed_fraction <= 1:
            raise InputError("data.max_failed_fraction", self.max_failed_fraction, "is no fraction", "use 0 to 1")
        if self.stall_timeout_s <= self.decode_timeout_s:
            raise InputError(
                "data.stall_timeout_s",
                self.stall_timeout_s,
                f"would end actors that wait for a decoder (data.decode_timeout_s={self.decode_timeout_s:g})",
                "make it several times as long",
            )
