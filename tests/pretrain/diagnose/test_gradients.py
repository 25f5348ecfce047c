"""Failures of gradients, read from the curves of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .curves import Records, all_of, late, state_after


def dead_block(records: Records) -> None:
    for record in records:
        record["grad_norm_by_block"] = {"embedding": 0.1, "block_00": 0.0, "block_01": 0.2, "head": 0.4}


def loud_block(records: Records) -> None:
    for record in records:
        blocks = {f"block_{layer:02d}": 0.1 for layer in range(4)}
        record["grad_norm_by_block"] = {"embedding": 0.1, **blocks, "block_04": 50.0, "head": 0.4}


BROKEN: dict[str, tuple[Callable[[Records], None], str, str]] = {
    "explosion": (late("grad_norm", 500.0), "gradient norm", "fail"),
    "growth": (late("grad_norm", 20.0), "gradient norm", "warn"),
    "no gradient": (all_of("grad_norm", 1e-9), "gradient norm", "fail"),
    "dead block": (dead_block, "by block", "fail"),
    "loud block": (loud_block, "by block", "warn"),
    "skipped at the end": (late("applied", False), "skipped steps", "fail"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_failure_is_named(tmp_path: Path, name: str) -> None:
    """One thing is wrong, and the line that belongs to it reports it."""
    change, line, state = BROKEN[name]
    assert state_after(change, line, tmp_path) == state
