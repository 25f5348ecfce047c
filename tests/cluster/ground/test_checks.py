from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from videoar.cluster.ground.checks import above, at_least, between, multiple_of
from videoar.cluster.ground.errors import InputError

CONFIG = SimpleNamespace(zero=0, one=1, half=0.5, nan=float("nan"), nothing=None, odd=257)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: at_least(1, "data", CONFIG, "one", "zero"), "data.zero=0: is below 1; use 1 or more"),
        (lambda: at_least(0, "data", CONFIG, "nan"), "data.nan=nan: is below 0; use 0 or more"),
        (lambda: above(0, "stages.x", CONFIG, "zero"), "stages.x.zero=0: is not above 0; use a number above 0"),
        (lambda: between(0, 0.4, "", CONFIG, "half"), "half=0.5: is not between 0 and 0.4; use 0 to 0.4"),
        (lambda: multiple_of(256, "stages.x", CONFIG, "odd"), "stages.x.odd=257: is not a multiple of 256; use 512"),
        (lambda: multiple_of(256, "stages.x", CONFIG, "zero"), "stages.x.zero=0: is not a multiple of 256; use 256"),
    ],
)
def test_a_wrong_number_is_named_with_what_would_do(check: Callable[[], None], message: str) -> None:
    """A message that prints three values at once leaves the reader to find out which of them is wrong."""
    with pytest.raises(InputError) as error:
        check()
    assert str(error.value) == message


def test_right_numbers_and_absent_ones_pass() -> None:
    """A bound itself is allowed where the words say "or more"; a field that is None was left out on purpose."""
    at_least(1, "data", CONFIG, "one", "nothing")
    above(0, "data", CONFIG, "half", "nothing")
    between(0, 0.5, "data", CONFIG, "zero", "half", "nothing")
    multiple_of(257, "data", CONFIG, "odd", "nothing")
