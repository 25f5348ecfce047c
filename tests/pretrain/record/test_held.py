"""Rows that are held back until they are final."""

from __future__ import annotations

from videoar.pretrain.record.held import HeldRows


def test_rows_are_given_out_once_and_in_order() -> None:
    """A row that is given out before its checkpoint is there twice after a kill; one that is kept is never there."""
    held = HeldRows()
    for step in range(4):
        held.add(step, {"step": step})
    assert list(held.take(2)) == [(0, {"step": 0}), (1, {"step": 1})]
    held.drop(3)
    held.add(3, {"step": 3, "again": True})
    assert list(held.take(9)) == [(2, {"step": 2}), (3, {"step": 3, "again": True})]
    assert list(held.take(9)) == []


def test_a_validation_that_overtakes_the_record_of_a_step_waits_for_it() -> None:
    """The record of step 1 is read when step 2 runs, and W&B drops a row whose step is behind."""
    held = HeldRows()
    for step, row in ((0, {}), (2, {"validation/x/loss": 0.5}), (1, {}), (2, {"loss": 0.5})):
        held.add(step, row)
    assert [step for step, _ in held.take(2)] == [0, 1]
    assert list(held.take(3)) == [(2, {"validation/x/loss": 0.5}), (2, {"loss": 0.5})]
