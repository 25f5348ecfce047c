"""A plan in a few lines: inputs, clips by shape, and what is left out by reason."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.planning.accounts import Reason
from videoar.data_pipeline.planning.all_datasets import PlannedDataset
from videoar.data_pipeline.planning.stored_plan import read_skipped

_REASONS = 8
"""Number of reasons shown per dataset; the plan has all of them."""


def facts(item: PlannedDataset) -> dict[str, Any]:
    """The figures of a planned dataset, for scripts."""
    plan = item.plan
    return {
        "dataset": item.dataset.name,
        "url": item.storage.url,
        "hash": plan.hash,
        "num_shards": len(plan.shard_sizes),
        "size_bytes": plan.size_bytes,
        "num_skipped": plan.num_skipped,
        **plan.accounts,
        "buckets": [asdict(total) for total in plan.buckets],
    }


def tables(planned: Sequence[PlannedDataset]) -> str:
    """Tables of planned datasets for people: by shape, then what is left out."""
    clips = Table("dataset", "shape", *_right("inputs", "clips", "tokens", "shards", "bytes"), box=None, pad_edge=False)
    left = Table("left out of", "kind", *_right("inputs", "clips"), "reason", "for example", box=None, pad_edge=False)
    for item in planned:
        for row in _by_shape(item):
            clips.add_row(*row)
        for row in _left_out(item):
            left.add_row(*row)
    warnings = [line for item in planned if (line := text_warning(item.dataset.name, item.plan.accounts))]
    kinds = [line for item in planned if (line := _kinds(item))]
    parts = [_text(clips), *([_text(left)] if left.row_count else []), *kinds, *warnings]
    return "\n\n".join(parts)


def text_warning(name: str, accounts: Mapping[str, Any]) -> str:
    """A line if most clips of a dataset have nothing that says what they show; empty if they have."""
    missing, clips = accounts.get("num_without_text") or 0, accounts["num_clips"]
    if 2 * missing <= clips:
        return ""
    return (
        f"{name}: {missing:,} of {clips:,} clips have neither a caption nor a label; a model learns no text from them"
    )


def _by_shape(item: PlannedDataset) -> Iterator[tuple[str, ...]]:
    """One row per shape; figures of the whole dataset are in the first row."""
    plan = item.plan
    whole = [
        item.dataset.name,
        f"{plan.accounts['num_planned_inputs']:,} of {plan.accounts['num_inputs']:,}",
        f"{len(plan.shard_sizes):,}",
    ]
    for total in plan.buckets:
        name, inputs, shards = whole
        shape = f"{total.schedule}, {total.num_frames} frames" if total.num_frames > 1 else total.schedule
        yield name, shape, inputs, f"{total.num_clips:,}", f"{total.num_tokens:,}", shards, f"{total.size_bytes:,}"
        whole = ["", "", ""]


def _left_out(item: PlannedDataset) -> list[tuple[str, ...]]:
    """Rows of the most frequent reasons, for inputs and clips."""
    counts: dict[tuple[str, str], list[int]] = {}
    for place, part in enumerate(("inputs_out", "clips_out")):
        for kind, reasons in item.plan.accounts[part].items():
            for reason, count in reasons.items():
                counts.setdefault((kind, reason), [0, 0])[place] = count
    commonest = sorted(counts.items(), key=lambda pair: (-sum(pair[1]), pair[0]))
    shown = commonest[:_REASONS]
    examples = _examples(item, {reason for reason, _ in shown})
    rows: list[tuple[str, ...]] = [
        (item.dataset.name, kind, f"{inputs:,}", f"{clips:,}", escape(reason), escape(examples[kind, reason]))
        for (kind, reason), (inputs, clips) in shown
    ]
    hidden = len(commonest) - len(rows)
    return rows + ([(item.dataset.name, "", "", "", f"and {hidden} more reasons (--json)", "")] if hidden > 0 else [])


def _examples(item: PlannedDataset, reasons: set[Reason]) -> dict[Reason, str]:
    """The first input that was left out for each of these reasons."""
    found: dict[Reason, str] = {}
    for skipped in read_skipped(item.storage):
        if (reason := (skipped.kind, skipped.reason)) in reasons:
            found.setdefault(reason, skipped.source)
            if len(found) == len(reasons):
                break
    return found


def tokenizer_warning(data: DataConfig) -> str:
    """A line if clips of your own would be made with an untrained tokenizer; empty otherwise."""
    source = data.tokenizer
    if source.path or all(dataset.source.kind == "shapes" for dataset in data.datasets):
        return ""
    return (
        f"data.tokenizer: is the untrained preset {source.preset}, and what it makes of clips decodes to noise; "
        "give data.tokenizer.path: demo, or the folder of a tokenizer"
    )


def _kinds(item: PlannedDataset) -> str:
    """What is done with inputs of kinds that need a decision, in a line; empty if there are none."""
    pictures = item.dataset.source.pictures
    counts = item.plan.accounts.get("kinds") or {}
    parts = [f"{count:,} {kind} (source.pictures.{kind}={getattr(pictures, kind)})" for kind, count in counts.items()]
    return f"{item.dataset.name}: among the inputs are {', '.join(parts)}" if parts else ""


def _right(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]


def _text(table: Table) -> str:
    """The table as text in its full width, because a log file has no edge."""
    page = Console(file=io.StringIO(), width=400, highlight=False, color_system=None)
    page.print(table)
    assert isinstance(page.file, io.StringIO)
    return "\n".join(line.rstrip() for line in page.file.getvalue().splitlines())
