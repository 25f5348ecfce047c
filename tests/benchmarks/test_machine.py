"""The rates that floors are computed from."""

from __future__ import annotations

import torch

from videoar.benchmarks.cases import Options
from videoar.benchmarks.machine import rows


def test_a_machine_has_rates_in_both_types() -> None:
    """The fixture's rates arrive in the lines, and a CPU has no memory of its own to report."""
    found = list(rows(Options(size="cpu", device=torch.device("cpu"))))
    assert [row["case"] for row in found] == ["float32", "bf16"]
    assert {row["peaks"] for row in found} == {"measured"}
    assert all(row["flops_per_s"] == row["peak_flops_per_s"] for row in found)
    assert "free_bytes" not in found[0]
