"""One check for all fields: type, limits, and a message that names the field and its value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import LEFT_OUT, check_fields, wrong_field
from videoar.cluster.ground.fields.limits import Limits

Low = Annotated[float, Limits(0, 0.5)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    name: str = "a"
    count: Annotated[int, Limits(1, 9)] = 1
    share: Low | None = None
    pair: tuple[Low, Low] = (0, 0.5)
    some: tuple[str, ...] = ()
    kind: Literal[1, "b"] = "b"
    on: bool = True
    place: Path | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "Settings(a).count=0: is below 1; use 1 or more"),
        ({"count": 10**5000}, "Settings(a).count=2^16609: is above 9; use 9 or less"),
        ({"count": True}, "Settings(a).count=True: is not a whole number; correct the value"),
        ({"count": np.int64(3)}, "Settings(a).count=3: is not a whole number; correct the value"),
        ({"count": None}, "Settings(a).count=null: is not a whole number; correct the value"),
        ({"share": 0.6}, "Settings(a).share=0.6: is above 0.5; use 0.5 or less, or null"),
        ({"share": float("nan")}, "Settings(a).share=nan: is not a number or null; correct the value"),
        ({"share": float("inf")}, "Settings(a).share=inf: is not a number or null; correct the value"),
        ({"pair": (0, 1)}, "Settings(a).pair.1=1: is above 0.5; use 0.5 or less"),
        ({"pair": (0,)}, "Settings(a).pair=(0,): is not a list of 2: a number, a number; correct the value"),
        ({"pair": [0, 0]}, "Settings(a).pair=[0, 0]: is a list, and configurations need tuples; write (a, b) for [a"),
        ({"some": "abc"}, "Settings(a).some=abc: is not a list, each text; correct the value"),
        ({"kind": 2}, "Settings(a).kind=2: is not one of 1, b; correct the value"),
        ({"on": 1}, "Settings(a).on=1: is not true or false; correct the value"),
        ({"name": 3}, "Settings.name=3: is not text; correct the value"),
        ({"place": 3}, "Settings(a).place=3: is not a mapping (Path) or null; correct the value"),
    ],
)
def test_a_wrong_value_is_one_line(values: dict[str, object], message: str) -> None:
    """A number that passes here fails hours later, as NaN or inside of a library."""
    with pytest.raises(InputError) as caught:
        Settings(**values)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


@dataclass(frozen=True, kw_only=True)
class Options:
    share: Low | None = None
    place: Path | None = None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"share": 0.6}, "share=0.6: is above 0.5; use 0.5 or less, or leave it out"),
        ({"share": "x"}, "share=x: is not a number; correct the value, or leave it out"),
        ({"place": 3}, "place=3: is not a mapping (Path); correct the value, or leave it out"),
    ],
)
def test_an_option_is_left_out(values: dict[str, Any], message: str) -> None:
    """Nobody can type the null of a file as the value of `--share`."""
    with pytest.raises(InputError) as caught:
        check_fields(Options(**values), "", absent=LEFT_OUT)
    assert str(caught.value) == message


def test_right_values_pass() -> None:
    """Whole numbers are numbers, and null is a value where a field may be left out."""
    Settings(count=9, share=0, pair=(0.5, 0), some=("x",), kind=1, place=Path("x"))


def test_an_error_between_fields_names_the_configuration() -> None:
    """A recipe written in Python has several stages; the message must say which one is meant."""
    assert str(wrong_field(Settings(name="b"), "count", "is odd", "use 2")) == "Settings(b).count=1: is odd; use 2"
