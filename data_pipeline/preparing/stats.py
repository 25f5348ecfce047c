"""Counts what became of each input, clip and second of a dataset, from the listing to the shards."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from videoar.data_pipeline.planning.accounts import SECONDS
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.seconds import in_seconds, microseconds
from videoar.data_pipeline.planning.stored_plan import Plan, read_plan
from videoar.data_pipeline.preparing.finish import UnitCounts, clips_of_unit, is_finished, standing_commits
from videoar.data_pipeline.shards.commits import Unit, remaining_units
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

ByKind = dict[str, dict[str, int]]
"""Counts by kind (unreadable, refused, filtered, duplicate) and reason."""
_ROUNDING_S = 1e-3
"""Seconds by which sums of seconds may differ: each is rounded to a microsecond."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seconds:
    """Accounts for each second of the files: the fields after `length_s` sum to it. A second that several clips show
    counts once, for the first of them."""

    num_unmeasured: int
    """Inputs of unknown length: they were not opened, or could not be."""
    length_s: float
    """Seconds of all files that were opened; images have none."""
    left_out: dict[str, dict[str, float]]
    """Seconds that no clip of the plan shows, by kind (as for inputs, and unused) and reason."""
    made_s: float
    """Seconds in the samples."""
    failed: dict[str, float]
    """Seconds of clips that failed while they were made, by reason."""
    remaining_s: float
    """Seconds of clips that are still to be made."""

    @property
    def is_balanced(self) -> bool:
        """Whether every second is counted once."""
        left_out = sum(seconds for reasons in self.left_out.values() for seconds in reasons.values())
        counted_s = left_out + self.made_s + sum(self.failed.values()) + self.remaining_s
        return abs(self.length_s - counted_s) <= _ROUNDING_S


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetStats:
    """What a dataset holds, and what became of the inputs and clips that it does not hold."""

    name: str
    is_finished: bool
    num_inputs: int
    """Files, rows, members or drawings that planning found."""
    num_planned_inputs: int
    """Inputs that give clips."""
    inputs_out: ByKind
    """Inputs that give no clip."""
    num_candidates: int
    """Clips that could be cut from the inputs."""
    clips_out: ByKind
    """Clips that are not in the plan."""
    num_planned: int
    """Clips of the plan."""
    num_without_caption: int | None
    """Clips of the plan that have no caption; None for a plan of an earlier version."""
    num_without_text: int | None
    """Clips of the plan that have neither a caption nor a label."""
    kinds: dict[str, int] | None
    """Planned inputs of special kinds, by field of `source.pictures`."""
    num_samples: int
    """Clips in shards."""
    failed: dict[str, int]
    """Clips that failed while they were made, by reason, the most frequent first."""
    failed_examples: dict[str, str]
    """For each of these reasons the file and time of one such clip: `films/a.mp4 at 2.25 s`."""
    num_remaining: int
    """Clips that are still to be made."""
    seconds: Seconds | None
    """Accounting of the files' seconds; None for a plan of an earlier version."""
    is_balanced: bool
    """Whether every input, clip and second is counted exactly once, and a finished dataset lacks nothing."""
    num_tokens: int
    """Visual tokens of the samples."""
    size_bytes: int
    """Bytes of the tars that commits name."""
    buckets: dict[str, int]
    """Clips of the plan by shape."""

    @property
    def num_failed(self) -> int:
        return sum(self.failed.values())

    @property
    def num_skipped(self) -> int:
        """Inputs that give no clip."""
        return self.num_inputs - self.num_planned_inputs


def stats(url: str) -> DatasetStats:
    """Counts of a dataset, finished or not, from its plan and commits."""
    storage = Storage.open(url)
    plan, num_tokens = read_plan(storage), 0
    counts = UnitCounts(name=posixpath.basename(storage.url), num_clips=plan.num_clips)
    made: list[Unit] = []  # the same units in both sums, even while a run commits more
    made_us, failed_us = 0, Counter[str]()
    examples: dict[str, str] = {}
    for unit, commit in standing_commits(storage, plan):
        made.append(unit)
        counts.add(commit)
        clips = clips_of_unit(plan, unit, commit)
        num_tokens += sum(_tokens(clips[sample.key]) for sample in commit.samples)
        made_us += sum(microseconds(clips[sample.key].new_s) for sample in commit.samples)
        for key, reason in commit.failed.items():
            failed_us[reason] += microseconds(clips[key].new_s)
            examples.setdefault(reason, clips[key].place)
    finished = is_finished(storage, plan)
    left = list(remaining_units(plan.shard_sizes, made))
    remaining = sum(unit.size for unit in left)
    seconds = _seconds(plan, made_us, failed_us, left)
    num_made = counts.num_samples + counts.failed.total()
    facts = plan.accounts
    return DatasetStats(
        name=counts.name,
        is_finished=finished,
        num_inputs=facts["num_inputs"],
        num_planned_inputs=facts["num_planned_inputs"],
        inputs_out=facts["inputs_out"],
        num_candidates=facts["num_candidates"],
        clips_out=facts["clips_out"],
        num_planned=plan.num_clips,
        num_without_caption=facts.get("num_without_caption"),
        num_without_text=facts.get("num_without_text"),
        kinds=facts.get("kinds"),
        num_samples=counts.num_samples,
        failed=dict(counts.failed.most_common()),
        failed_examples=examples,
        num_remaining=remaining,
        seconds=seconds,
        is_balanced=_is_balanced(plan)
        and (seconds is None or seconds.is_balanced)
        and num_made + remaining == plan.num_clips
        and not (finished and remaining),
        num_tokens=num_tokens,
        size_bytes=counts.size_bytes,
        buckets={f"{total.schedule}x{total.num_frames}": total.num_clips for total in plan.buckets},
    )


def _seconds(plan: Plan, made_us: int, failed_us: Counter[str], left: Sequence[Unit]) -> Seconds | None:
    """Accounting of the seconds; None if the plan does not record the seconds of each clip."""
    facts: dict[str, Any] = plan.accounts
    if facts.keys().isdisjoint(SECONDS):
        return None
    remaining_us = sum(microseconds(clip.new_s) for unit in left for clip in plan.clips_of(unit))
    return Seconds(
        num_unmeasured=facts["num_unmeasured"],
        length_s=facts["length_s"],
        left_out=facts["seconds_out"],
        made_s=in_seconds(made_us),
        failed={reason: in_seconds(time) for reason, time in failed_us.most_common()},
        remaining_s=in_seconds(remaining_us),
    )


def _is_balanced(plan: Plan) -> bool:
    """Whether the plan accounts for all its inputs and candidates."""
    facts = plan.accounts
    inputs = facts["num_planned_inputs"] + _sum(facts["inputs_out"])
    return bool(
        facts["num_inputs"] == inputs
        and facts["num_candidates"] == plan.num_clips + _sum(facts["clips_out"])
        and plan.num_clips == sum(plan.shard_sizes) == sum(total.num_clips for total in plan.buckets)
    )


def _sum(counts: ByKind) -> int:
    return sum(count for reasons in counts.values() for count in reasons.values())


def _tokens(clip: Clip) -> int:
    return latent_frames(clip.num_frames) * ScaleSchedule.named(clip.schedule).tokens_per_frame
