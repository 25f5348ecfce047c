"""The state of datasets in a few lines: inputs, clips and seconds that were made, left out or failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from videoar.cluster.cli.plan_summary import as_text, examples_of, left_out_rows, left_out_table, right, text_warning
from videoar.data_pipeline.preparing.stats import DatasetStats
from videoar.data_pipeline.storage.objects import Storage

_COLUMNS = ("inputs", "planned", "made", "failed", "to make", "seconds made", "tokens", "bytes")


def table(found: DatasetStats, url: str) -> str:
    """One dataset: its figures, what is left out of it, and what is wrong with it."""
    figures = Table("dataset", *right(*_COLUMNS), "state", box=None, pad_edge=False)
    figures.add_row(
        found.name,
        f"{found.num_planned_inputs:,} of {found.num_inputs:,}",
        f"{found.num_planned:,}",
        f"{found.num_samples:,}",
        f"{found.num_failed:,}",
        f"{found.num_remaining:,}",
        _seconds(found),
        f"{found.num_tokens:,}",
        f"{found.size_bytes:,}",
        "finished" if found.is_finished else "unfinished",
    )
    left = left_out_table()
    for row in left_out_rows(found.name, _accounts(found), Storage.open(url)):
        left.add_row(*row)
    for reason, count in found.failed.items():
        time_s = f"{found.seconds.failed.get(reason, 0.0):,.2f}" if found.seconds is not None else ""
        left.add_row(
            found.name, "failed", "", f"{count:,}", time_s, escape(reason), escape(found.failed_examples[reason])
        )
    wrong = "" if found.is_balanced else f"{found.name}: the sums do not agree (--json shows them)"
    warning = text_warning(found.name, {"num_clips": found.num_planned, "num_without_text": found.num_without_text})
    parts = [as_text(figures), as_text(left) if left.row_count else "", warning, wrong]
    return "\n\n".join(part for part in parts if part)


def facts(found: DatasetStats, url: str) -> dict[str, Any]:
    """The figures of a dataset for scripts, with an input for each reason for which inputs or clips are left out."""
    reasons = [(kind, why) for part in (found.inputs_out, found.clips_out) for kind in part for why in part[kind]]
    examples: dict[str, dict[str, str]] = {}
    for (kind, why), source in examples_of(Storage.open(url), reasons).items():
        examples.setdefault(kind, {})[why] = source
    return asdict(found) | {"left_out_examples": examples}


def _seconds(found: DatasetStats) -> str:
    """Seconds in samples of all seconds; empty for images and for plans of earlier versions."""
    if found.seconds is None or not found.seconds.length_s:
        return ""
    return f"{found.seconds.made_s:,.2f} of {found.seconds.length_s:,.2f}"


def _accounts(found: DatasetStats) -> Mapping[str, Any]:
    """What a plan's head says about what it leaves out."""
    seconds_out = None if found.seconds is None else found.seconds.left_out
    return {"inputs_out": found.inputs_out, "clips_out": found.clips_out, "seconds_out": seconds_out}
