from __future__ import annotations

import pytest

from videoar.cluster.ground.fields.limits import Limits


@pytest.mark.parametrize(
    ("limits", "value", "found"),
    [
        (Limits(1, 9), 0, "is below 1; use 1 or more"),
        (Limits(1, 9), 10, "is above 9; use 9 or less"),
        (Limits(0, 1), float("nan"), "is below 0; use 0 or more"),
        (Limits(0, 1, above=True), 0.0, "is not above 0; use a number above 0"),
        (Limits(0, 1, below=True), 1.0, "is not below 1; use a number below 1"),
        (Limits(0, 1e-6), 1, "is above 1e-06; use 1e-06 or less"),
        (Limits(0, 2**63 - 1), 2**63, "is above 9223372036854775807; use 9223372036854775807 or less"),
        (Limits(256, 1024, step=256), 257, "is not a multiple of 256; use 256 or 512"),
        (Limits(1, 101, step=4), 4, "is not 1 + 4n; use 1 or 5"),
    ],
)
def test_a_wrong_number_comes_with_what_would_do(limits: Limits, value: float, found: str) -> None:
    """A bound that is off by one lets in the very value that the field has no meaning for."""
    assert "; ".join(limits.broken_by(value) or ()) == found


def test_bounds_are_inside_unless_they_are_said_not_to_be() -> None:
    """Refusing a bound itself would take away `no drop-out` and `every sample dropped`."""
    inside = [(Limits(0, 1), 0), (Limits(0, 1), 1.0), (Limits(0, 1, above=True), 1e-300), (Limits(1, 9, step=4), 9)]
    assert all(limits.broken_by(value) is None for limits, value in inside)
