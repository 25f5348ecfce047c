"""The configuration of data preparation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields, wrong_field
from videoar.cluster.ground.fields.limits import Limits, Seconds, Share, SizeBytes
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.tokenizer.config import TokenizerSource

LatentPayload = Literal["none", "int8", "fp16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Everything `videoar data run` needs, and where the trainer finds what it wrote."""

    datasets: tuple[DatasetConfig, ...]
    """The datasets to prepare; stages of training refer to them by name."""
    tokenizer: TokenizerSource = field(default_factory=TokenizerSource)
    """The tokenizer that makes the codes."""
    url: str = ""
    """Folder or fsspec URL of the prepared shards; empty: the trainer prepares them under RUN/data first."""
    online: bool = False
    """Train without shards: the clips of the plan at `url` are decoded and tokenized on the training device when they
    are needed, and give the same samples as the plan's shards. Empty `url`: the plan is made under RUN/data first."""
    latent: LatentPayload = "int8"
    """How the continuous latent is stored with the bits: `none`; `int8`, the remainder after the bits, with one
    scale per frame and channel; or `fp16`. Self-corrected targets need it (VideoAR Eq. 8)."""
    samples_per_shard: Annotated[int, Limits(1, 1_000_000)] = 512
    """Clips per shard. A shard is what one worker makes at a time, and what is lost if it dies."""
    max_shard_bytes: SizeBytes = 1 << 30
    """A shard gets fewer clips if its tars would otherwise be larger than this in total."""
    actors: Annotated[int, Limits(1, 100_000)] = 1
    """Number of Ray actors, which decode and tokenize."""
    gpus_per_actor: Annotated[float, Limits(0, 1024)] = 0.0
    """Fraction of a GPU that each actor uses. 0: it tokenizes on the CPU with one thread, so that shards have the same
    bytes for any number of actors."""
    decode_processes: Annotated[int, Limits(1, 1024)] = 1
    """Decoder subprocesses of each actor; with `online`, of each training process for each dataset."""
    decode_timeout_s: Seconds = 120.0
    """Seconds a decoder may spend on one source before it is killed and its clips are recorded as failed."""
    decode_max_pixels: Annotated[int, Limits(1, 2**40)] = 1 << 27
    """Largest number of pixels of a picture or frame; larger ones are left out."""
    max_source_bytes: SizeBytes = 64 << 30
    """Largest source that is copied to this machine to be opened, from another store or out of a tar; larger ones are
    left out."""
    stall_timeout_s: Seconds = 600.0
    """Seconds an actor may spend without finishing a clip before it is killed and its clips are tried again."""
    max_failed_fraction: Share = 0.5
    """The job stops when more than this fraction of a dataset's clips has failed, counted over all runs."""
    max_attempts: Annotated[int, Limits(1, 1000)] = 3
    """Number of worker deaths on the same unit of clips before the unit is halved; a single clip is quarantined."""

    def __post_init__(self) -> None:
        check_fields(self)
        refuse_credentials("url", self.url)
        names = [dataset.name for dataset in self.datasets]
        if not names:
            raise wrong_field(self, "datasets", "names no dataset", "name at least one")
        if len(set(names)) != len(names):
            raise InputError("datasets", names, "are not distinct names", "name each dataset once")
        if self.gpus_per_actor > 1 and self.gpus_per_actor % 1:
            raise wrong_field(self, "gpus_per_actor", "is not a part of one GPU or a whole number", "use 0.5, 1 or 2")
        if not self.stall_timeout_s > self.decode_timeout_s:
            raise wrong_field(
                self,
                "stall_timeout_s",
                f"would kill actors that wait for a decoder (data.decode_timeout_s={self.decode_timeout_s:g})",
                "make it several times as long",
            )
