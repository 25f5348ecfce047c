"""The plans of a whole configuration, under one URL. Needs no Ray."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.client import limits
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.plan_writer import ShardLimits
from videoar.data_pipeline.planning.stored_plan import Plan, ensure_plan
from videoar.data_pipeline.shards.sample_format import SampleFormat, sample_format
from videoar.data_pipeline.sources.listing import count_inputs
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import VideoTokenizer, open_tokenizer
from videoar.tokenizer.config import TokenizerSource

OpenTokenizer = Callable[[TokenizerSource], VideoTokenizer]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedDataset:
    """A dataset of the configuration with its plan, and where it goes."""

    dataset: DatasetConfig
    storage: Storage
    sample_format: SampleFormat
    plan: Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanProgress:
    """Where the planning of one dataset stands."""

    dataset: str
    num_inputs: int | None
    """None where they are not known before the end."""
    num_done: int
    num_clips: int
    inputs_per_s: float
    eta_s: float | None
    """Seconds to the end at that rate; None where the end is not known."""


def plan_all(
    config: DataConfig,
    output: str,
    *,
    opener: OpenTokenizer = open_tokenizer,
    progress: Callable[[PlanProgress], None] | None = None,
) -> tuple[PlannedDataset, ...]:
    """The plan of every dataset under OUTPUT/<name>, made where there is none."""
    tokenizer, root = opener(config.tokenizer), Storage.open(output)
    tokenizer_hash = tokenizer.hash
    planned = []
    for dataset in config.datasets:
        form = sample_format(dataset, config, tokenizer, tokenizer_hash)
        storage = root.child(dataset.name)
        told = _teller(dataset, progress) if progress is not None else None
        processes = min(config.actors * config.decode_processes, os.cpu_count() or 1)
        with _naming(dataset):
            plan = ensure_plan(
                storage, dataset, form, shard_limits(config), limits(config), processes=processes, told=told
            )
        planned.append(PlannedDataset(dataset=dataset, storage=storage, sample_format=form, plan=plan))
    return tuple(planned)


def shard_limits(config: DataConfig) -> ShardLimits:
    """When a shard is full, as configured."""
    return ShardLimits(max_clips=config.samples_per_shard, max_bytes=config.max_shard_bytes)


@contextmanager
def _naming(dataset: DatasetConfig) -> Iterator[None]:
    """What is wrong with a source is told under the name of its dataset, as the command line takes it."""
    try:
        yield
    except InputError as error:
        if not error.field.startswith("source."):
            raise
        field = f"data.datasets.{dataset.name}.{error.field}"
        raise InputError(field, error.value, error.problem, error.remedy) from error


def _teller(dataset: DatasetConfig, progress: Callable[[PlanProgress], None]) -> Callable[[Accounts], None]:
    """Tells whoever watches after every input. The inputs are counted when the first one is told of."""
    began, last, counted = time.monotonic(), -1, False
    total: int | None = None

    def told(accounts: Accounts) -> None:
        nonlocal last, total, counted
        if not counted:
            total, counted = count_inputs(dataset.source), True
        if accounts.num_done == last:
            return
        last = accounts.num_done
        rate = last / max(1e-9, time.monotonic() - began)
        progress(
            PlanProgress(
                dataset=dataset.name,
                num_inputs=total,
                num_done=last,
                num_clips=accounts.num_clips,
                inputs_per_s=rate,
                eta_s=(total - last) / rate if total is not None and rate > 0 else None,
            )
        )

    return told
