"""Figures of cases as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from videoar.benchmarks.cases import Row


@dataclass(frozen=True, slots=True)
class Column:
    """One figure: its title with the unit, its name in a row, and the factor to that unit."""

    title: str
    field: str
    factor: float = 1.0

    def written(self, row: Row) -> str:
        """Three digits, or a whole number; empty for a row without this figure."""
        if row.get(self.field) is None:
            return ""
        value = row[self.field] * self.factor
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


COLUMNS = (
    Column("ms", "wall_s", 1e3),
    Column("IQR ms", "wall_iqr_s", 1e3),
    Column("CPU ms", "process_s", 1e3),
    Column("floor ms", "floor_s", 1e3),
    Column("x floor", "over_floor"),
    Column("TFLOP/s", "flops_per_s", 1e-12),
    Column("GB/s", "bytes_per_s", 1e-9),
    Column("MFU %", "mfu", 100.0),
    Column("tokens/s", "tokens_per_s"),
    Column("x Llama", "over_llama"),
    Column("x Llama CPU", "process_over_llama"),
    Column("x plain", "over_plain"),
    Column("x plain CPU", "process_over_plain"),
    Column("x naive", "over_naive"),
    Column("x naive CPU", "process_over_naive"),
    Column("x growing", "over_growing"),
    Column("x growing CPU", "process_over_growing"),
    Column("ms/pass", "pass_s", 1e3),
    Column("clips/s", "clips_per_s"),
    Column("outside model %", "overhead", 100.0),
    Column("outside model CPU %", "process_overhead", 100.0),
    Column("tokenizer hidden %", "hidden", 100.0),
    Column("Mpixel/s", "pixels_per_s", 1e-6),
    Column("peak MiB", "memory_bytes", 1 / 2**20),
    Column("rel. output err", "output_error"),
    Column("gradient err", "gradient_error"),
)


def table(rows: Sequence[Row]) -> Table:
    """One line for each row that has figures, with the columns for which any row has a figure."""
    shown = [column for column in COLUMNS if any(row.get(column.field) is not None for row in rows)]
    result = Table(box=None)
    result.add_column("case", no_wrap=True)
    for column in shown:
        result.add_column(column.title, justify="right")
    for row in rows:
        if not _reason(row):
            result.add_row(label(row), *(column.written(row) for column in shown))
    return result


def label(row: Row) -> str:
    """Name of a row: its case, its subject and its pass."""
    return ", ".join(str(row[part]) for part in ("case", "subject", "pass") if part in row)


def not_run(rows: Sequence[Row]) -> list[str]:
    """A line for each row without figures: the reason."""
    return [f"{label(row)}: {reason}" for row in rows if (reason := _reason(row))]


def _reason(row: Row) -> str | None:
    return row.get("unavailable") or row.get("error")
