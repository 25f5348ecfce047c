"""Plans every dataset of a configuration, under one URL. Needs no Ray."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial

from videoar.cluster.ground.errors import InputError, raise_all
from videoar.cluster.ground.fields.overrides import ALL
from videoar.cluster.ground.progress import ProgressLine
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.client import limits
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.plan_writer import ShardLimits
from videoar.data_pipeline.planning.remedies import warnings_of
from videoar.data_pipeline.planning.settings import settings_of
from videoar.data_pipeline.planning.stored_plan import HEAD_KEY, Plan, ensure_plan, find_plan
from videoar.data_pipeline.shards.sample_format import SampleFormat, sample_format
from videoar.data_pipeline.sources.listing import count_inputs, iter_sources, naming_all, naming_source
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import VideoTokenizer, open_tokenizer
from videoar.tokenizer.config import TokenizerSource

log = logging.getLogger(__name__)

OpenTokenizer = Callable[[TokenizerSource], VideoTokenizer]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedDataset:
    """A dataset of the configuration with its plan."""

    dataset: DatasetConfig
    storage: Storage
    """Folder of the plan and of the shards."""
    sample_format: SampleFormat
    """How its samples are stored."""
    plan: Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanProgress:
    """Progress of planning one dataset."""

    dataset: str
    """Name of the dataset."""
    num_inputs: int | None
    """Total number of inputs; None if it is known only at the end."""
    num_done: int
    """Inputs that are planned or left out."""
    num_clips: int
    """Clips so far."""
    num_recalled: int
    """Of the inputs that are done, those that an interrupted planning run had already examined."""
    inputs_per_s: float
    """Average rate since the start, of inputs that were examined since then."""
    eta_s: float | None
    """Seconds to the end at that rate; None if the end is not known."""

    @property
    def figures(self) -> dict[str, object]:
        """Figures that are displayed in addition to the inputs, the most important first."""
        known = {"already_examined": self.num_recalled} if self.num_recalled else {}
        eta_s = None if self.eta_s is None else round(self.eta_s)
        rates = {"inputs_per_s": round(self.inputs_per_s, 2), "eta_s": eta_s}
        return {"dataset": self.dataset, "clips": self.num_clips, **known, **rates}


def shown_on(line: ProgressLine) -> Callable[[PlanProgress], None]:
    """A callback that displays the progress of planning on a progress line, as a task named "plan"."""
    return lambda now: line(now.num_done, now.num_inputs, now.figures, "plan")


def plan_all(
    config: DataConfig,
    output: str,
    *,
    opener: OpenTokenizer = open_tokenizer,
    progress: Callable[[PlanProgress], None] | None = None,
) -> tuple[PlannedDataset, ...]:
    """The plan of every dataset under OUTPUT/<name>; a missing plan is made."""
    root, tokenizer = Storage.open(output), check_paths(config, output, opener)
    tokenizer_hash = tokenizer.hash
    formats = [sample_format(dataset, config, tokenizer, tokenizer_hash) for dataset in config.datasets]
    for dataset, form in zip(config.datasets, formats, strict=True):  # all are checked before anything is written
        with _naming(dataset):
            find_plan(root.child(dataset.name), settings_of(dataset, form, shard_limits(config)))
    planned = []
    for dataset, form in zip(config.datasets, formats, strict=True):
        storage = root.child(dataset.name)
        on_progress = _reporter(dataset, progress) if progress is not None else None
        processes = min(config.actors * config.decode_processes, os.cpu_count() or 1)
        with _naming(dataset):
            plan = ensure_plan(
                storage,
                dataset,
                form,
                shard_limits(config),
                limits(config),
                processes=processes,
                on_progress=on_progress,
            )
        for line in warnings_of(dataset, plan):
            log.warning(line)
        planned.append(PlannedDataset(dataset=dataset, storage=storage, sample_format=form, plan=plan))
    return tuple(planned)


def check_paths(config: DataConfig, output: str, opener: OpenTokenizer = open_tokenizer) -> VideoTokenizer:
    """The tokenizer. InputErrors that name every wrong path of it and of the sources; nothing is written."""
    tokenizer, _ = raise_all(partial(opener, config.tokenizer), partial(_check_sources, config, Storage.open(output)))
    return tokenizer


def _check_sources(config: DataConfig, root: Storage) -> None:
    """Begin to list the source of each dataset without a plan, so that a wrong path is reported at once.

    A single remote source is not checked, because listing it a second time may take minutes.
    """
    missing = [dataset for dataset in config.datasets if not root.child(dataset.name).exists(HEAD_KEY)]
    if len(missing) == 1 and "://" in missing[0].source.path:
        return
    with naming_all(f"data.datasets.{ALL}.source.path", len(config.datasets)):
        raise_all(*(partial(_begin_list, dataset) for dataset in missing))


def _begin_list(dataset: DatasetConfig) -> None:
    with _naming(dataset), closing(iter_sources(dataset.source)) as inputs:
        next(inputs, None)


def require_plans(config: DataConfig, output: str) -> None:
    """InputError if a dataset has no plan under OUTPUT/<name> yet."""
    root = Storage.open(output)
    for dataset in config.datasets:
        if not (storage := root.child(dataset.name)).exists(HEAD_KEY):
            raise InputError("part", storage.url, "has no plan to make a part of", "run `videoar data plan` first")


def shard_limits(config: DataConfig) -> ShardLimits:
    """When a shard is full, as configured."""
    return ShardLimits(max_clips=config.samples_per_shard, max_bytes=config.max_shard_bytes)


def _naming(dataset: DatasetConfig) -> AbstractContextManager[None]:
    """An error of a source names the field as the command line takes it: with the name of its dataset."""
    return naming_source(f"data.datasets.{dataset.name}.source")


def _reporter(dataset: DatasetConfig, progress: Callable[[PlanProgress], None]) -> Callable[[Accounts], None]:
    """Calls `progress` after every input. If it is not known how many there are, they are counted at the first call."""
    began, last, counted = time.monotonic(), (-1, -1), False
    total: int | None = None

    def on_progress(accounts: Accounts) -> None:
        nonlocal last, total, counted
        if not counted:
            total = count_inputs(dataset.source) if accounts.num_expected is None else accounts.num_expected
            counted = True
        if (accounts.num_done, accounts.num_clips) == last:
            return
        last = accounts.num_done, accounts.num_clips
        done, clips = last
        recalled = min(done, accounts.num_recalled)
        rate = (done - recalled) / max(1e-9, time.monotonic() - began)
        progress(
            PlanProgress(
                dataset=dataset.name,
                num_inputs=total,
                num_done=done,
                num_clips=clips,
                num_recalled=recalled,
                inputs_per_s=rate,
                eta_s=(total - done) / rate if total is not None and rate > 0 else None,
            )
        )

    return on_progress
