"""A plan in a few lines: inputs, clips by shape, and the inputs, clips and seconds that are left out by reason."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.planning.accounts import Reason
from videoar.data_pipeline.planning.all_datasets import PlannedDataset
from videoar.data_pipeline.planning.stored_plan import read_skipped
from videoar.data_pipeline.planning.unused import UNUSED
from videoar.data_pipeline.storage.objects import Storage

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
    clips = Table(
        "dataset", "shape", *right("inputs", "seconds", "clips", "tokens", "shards", "bytes"), box=None, pad_edge=False
    )
    left = left_out_table()
    for item in planned:
        for row in _by_shape(item):
            clips.add_row(*row)
        for row in left_out_rows(item.dataset.name, item.plan.accounts, item.storage):
            left.add_row(*row)
    warnings = [line for item in planned if (line := text_warning(item.dataset.name, item.plan.accounts))]
    kinds = [line for item in planned if (line := _kinds(item))]
    return "\n\n".join([as_text(clips), *([as_text(left)] if left.row_count else []), *kinds, *warnings])


def text_warning(name: str, accounts: Mapping[str, Any]) -> str:
    """A warning if most clips of a dataset have neither caption nor label; empty otherwise."""
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
        _seconds(plan.accounts),
        f"{len(plan.shard_sizes):,}",
    ]
    for total in plan.buckets:
        name, inputs, seconds, shards = whole
        shape = f"{total.schedule}, {total.num_frames} frames" if total.num_frames > 1 else total.schedule
        figures = f"{total.num_clips:,}", f"{total.num_tokens:,}", shards, f"{total.size_bytes:,}"
        yield name, shape, inputs, seconds, *figures
        whole = ["", "", "", ""]


def _seconds(accounts: Mapping[str, Any]) -> str:
    """Seconds in clips of all seconds; empty for images and for plans of earlier versions."""
    return f"{accounts['shown_s']:,.2f} of {accounts['length_s']:,.2f}" if accounts.get("length_s") else ""


def left_out_table() -> Table:
    """The table of what is left out, still empty."""
    columns = right("inputs", "clips", "seconds")
    return Table("left out of", "kind", *columns, "reason", "for example", box=None, pad_edge=False)


def left_out_rows(name: str, accounts: Mapping[str, Any], storage: Storage) -> list[tuple[str, ...]]:
    """Rows of the most frequent reasons for inputs and clips; then why the other seconds are in no clip.

    The column of seconds is empty where there are none, or where they are not known.
    """
    found: dict[Reason, list[Any]] = {}
    for place, part in enumerate(("inputs_out", "clips_out", "seconds_out")):
        for kind, reasons in (accounts.get(part) or {}).items():
            for reason, count in reasons.items():
                found.setdefault((kind, reason), [0, 0, 0.0])[place] = count
    unused = [item for item in found.items() if item[0][0] == UNUSED]
    others = [item for item in found.items() if item[0][0] != UNUSED]
    commonest = sorted(others, key=lambda item: (-item[1][0] - item[1][1], -item[1][2], item[0]))
    shown = [*commonest[:_REASONS], *unused]
    examples = examples_of(storage, {reason for reason, _ in shown})
    rows: list[tuple[str, ...]] = [
        (
            name,
            kind,
            f"{inputs:,}",
            f"{clips:,}",
            f"{time_s:,.2f}" if time_s else "",
            escape(why),
            escape(examples.get((kind, why), "")),
        )
        for (kind, why), (inputs, clips, time_s) in shown
    ]
    hidden = len(found) - len(rows)
    return rows + ([(name, "", "", "", "", f"and {hidden} more reasons (--json)", "")] if hidden > 0 else [])


def examples_of(storage: Storage, reasons: Iterable[Reason]) -> dict[Reason, str]:
    """The first input that was left out for each of these reasons."""
    found: dict[Reason, str] = {}
    wanted = {reason for reason in reasons if reason[0] != UNUSED}
    for skipped in read_skipped(storage) if wanted else ():
        if (reason := (skipped.kind, skipped.reason)) in wanted:
            found.setdefault(reason, skipped.source)
            if len(found) == len(wanted):
                break
    return found


def tokenizer_warning(data: DataConfig) -> str:
    """A line if clips of your own would be made with an untrained tokenizer; empty otherwise."""
    source = data.tokenizer
    if source.path or all(dataset.source.kind == "shapes" for dataset in data.datasets):
        return ""
    return (
        f"data.tokenizer: is the untrained preset {source.preset}, whose bits decode to noise; "
        "give data.tokenizer.path: demo, or the folder of a tokenizer"
    )


def _kinds(item: PlannedDataset) -> str:
    """One line about kinds of inputs that source.pictures decides about; empty if there are none."""
    pictures = item.dataset.source.pictures
    counts = item.plan.accounts.get("kinds") or {}
    parts = [f"{count:,} {kind} (source.pictures.{kind}={getattr(pictures, kind)})" for kind, count in counts.items()]
    return f"{item.dataset.name}: among the inputs are {', '.join(parts)}" if parts else ""


def right(*names: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(name, justify="right") for name in names]


def as_text(table: Table) -> str:
    """The table as text in its full width, because a log file has no edge."""
    page = Console(file=io.StringIO(), width=400, highlight=False, color_system=None)
    page.print(table)
    assert isinstance(page.file, io.StringIO)
    return "\n".join(line.rstrip() for line in page.file.getvalue().splitlines())
