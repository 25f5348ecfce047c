"""Warns about fields that leave most inputs out and shapes without clips, in time to correct the recipe."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.frame_sampling import clip_span_s
from videoar.data_pipeline.planning.filters import IS_IMAGE, TOO_SHORT, TOO_SLOW
from videoar.tokenizer.config import ClipBucket

if TYPE_CHECKING:
    from videoar.data_pipeline.planning.stored_plan import Plan

_FIELD = re.compile(r"\b((?:filters|shots|source)\.[\w.]*\w)=")
_MOST_LEFT_OUT = 0.5
"""A warning is given if at least this share of the inputs gives no clip."""


def remedy(dataset: DatasetConfig, reasons: Mapping[str, int]) -> str:
    """What to change about the reason that leaves most inputs out: the responsible field, with its value."""
    fields: Counter[str] = Counter()
    for reason, count in reasons.items():
        fields[_remedy_of(dataset, reason)] += count
    return fields.most_common(1)[0][0] if fields else "use other clips"


def _remedy_of(dataset: DatasetConfig, reason: str) -> str:
    shortest = min(dataset.buckets, key=lambda bucket: bucket.num_frames)
    if TOO_SLOW in reason:
        return f"lower bucket.fps={shortest.fps:g}"
    if reason == TOO_SHORT:
        lasts = f"bucket.num_frames={shortest.num_frames} or raise bucket.fps={shortest.fps:g} ({_lasts(shortest)})"
        return f"lower {lasts}{_or_more_of_each(dataset.source)}"
    if reason == IS_IMAGE:
        return "set bucket.num_frames=1, or add a bucket of one frame to more_buckets"
    field = _FIELD.search(reason)
    return f"change {field[1]}" if field else "use other clips or a smaller bucket"


def _or_more_of_each(source: SourceConfig) -> str:
    """A further remedy for videos that are too short, if only a part of each is used."""
    if (source.start_fraction, source.end_fraction) == (0.0, 1.0):
        return ""
    part = f"source.start_fraction={source.start_fraction:g} to source.end_fraction={source.end_fraction:g}"
    return f", or use more of each video than {part}"


def _lasts(bucket: ClipBucket) -> str:
    return f"a clip lasts {clip_span_s(bucket.num_frames, bucket.fps):.2g} s"


def warnings_of(dataset: DatasetConfig, plan: Plan) -> Iterator[str]:
    """Warnings about a plan that is probably not intended: most inputs are left out, or a shape has no clip."""
    inputs, planned = plan.accounts["num_inputs"], plan.accounts["num_planned_inputs"]
    if inputs - planned >= _MOST_LEFT_OUT * inputs:
        reasons: Counter[str] = Counter()
        for found in plan.accounts["inputs_out"].values():
            reasons.update(found)
        reason, count = reasons.most_common(1)[0]
        yield (
            f"{dataset.name}: {inputs - planned:,} of {inputs:,} inputs give no clip, {count:,} because each {reason}; "
            f"{remedy(dataset, reasons)}"
        )
    has_length = {total.num_frames for total in plan.buckets}
    has_shape = {(total.schedule, total.num_frames) for total in plan.buckets}
    for bucket in (dataset.bucket, *dataset.more_buckets):
        shape = f"{dataset.name}: no clip is {bucket.num_frames} frames of {bucket.schedule}"
        if bucket.num_frames not in has_length:
            why = (
                "sources that fit it also fit a longer bucket"
                if bucket.num_frames < max(has_length)
                else f"films are shorter: {_lasts(bucket)}"
            )
            yield f"{shape} ({why}); {_change_length(bucket)}"
        elif not dataset.all_aspects and (bucket.schedule, bucket.num_frames) not in has_shape:
            yield f"{shape} (other buckets are nearer in aspect ratio, or in size); leave out this bucket.schedule"


def _change_length(bucket: ClipBucket) -> str:
    if bucket.num_frames == 1:
        return "there are no images: leave out this bucket"
    return f"change its num_frames or fps={bucket.fps:g}, or leave out this bucket"
