from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import pytest
import yaml

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import (
    MAX_BYTES,
    from_dict,
    from_yaml,
    leaves,
    parse_scalar,
    parse_yaml,
    to_dict,
    to_yaml,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    name: str
    sides: tuple[tuple[int, int], ...] = ((1, 2), (3, 4))
    rates: tuple[float, ...] = (1e-8, 3.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    parts: tuple[Part, ...]
    kind: Literal["a", "b"] = "a"
    stage: Literal[0, 1] = 0
    note: str = ""
    rate: float = 1e-4
    enabled: bool = True
    label: int | None = None
    part: Part = field(default_factory=lambda: Part(name="inner"))


WHOLE = Whole(parts=(Part(name="ünï"), Part(name="no", sides=(), rates=(0.1,))), note="1e-4", rate=3.0, label=7)


def test_yaml_gives_back_an_equal_value() -> None:
    """A resumed run reads its own config.yaml: text like `no` or 1e-4, small floats and nested tuples survive."""
    assert from_yaml(Whole, to_yaml(WHOLE), "x.yaml") == WHOLE
    assert isinstance(from_yaml(Whole, to_yaml(WHOLE), "x.yaml").parts[0].sides[0], tuple)


def test_numbers_as_people_write_them() -> None:
    """PyYAML reads 1e-4 as text, 3 as an integer and `off` as False."""
    read = from_yaml(Whole, "parts: []\nrate: 1e-4\nnote: off\npart: {name: x, rates: [1, 2e-3]}", "x.yaml")
    assert (read.rate, read.note, read.part.rates) == (1e-4, "off", (1.0, 2e-3))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[("0100", 100), ("-08", -8), ("0o17", 15), ("0xff", 255), ("+3", 3), ("1:30", "1:30"), ("1_000", "1_000")],
        *[(".5", 0.5), ("5.", 5.0), ("0e0", 0.0), ("~", None), ("NULL", None), ("TRUE", True), ("yes", "yes")],
    ],
)
def test_scalars_are_those_of_yaml_1_2(word: str, value: object) -> None:
    """YAML 1.1 reads 0100 as 64 and 1:30 as 90: a job array with padded numbers trains on other seeds than it says."""
    read = parse_scalar(word)
    assert (read, type(read)) == (value, type(value))
    assert parse_yaml(f"field: {word}", "x.yaml") == {"field": value}


@pytest.mark.parametrize(
    "text", ["0100", "08", "0o17", "1:30", "1_000", "2026-01-31", "yes", "~", "NULL", "1e4", "=", ""]
)
def test_text_stays_text(text: str) -> None:
    """Other tools read a saved recipe by YAML 1.1 or 1.2: neither may take a name for a number."""
    assert parse_yaml(to_yaml(replace(WHOLE, note=text)), "x.yaml")["note"] == text
    assert yaml.safe_load(to_yaml(replace(WHOLE, note=text)))["note"] == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parts: []\nnoet: x", "x.yaml: noet=x: is not a field; did you mean note?"),
        ("parts: [{name: a, side: 1}]", "x.yaml: parts.a.side=1: is not a field; did you mean sides?"),
        ("note: x", "x.yaml: parts='': is missing; add it: it has no default"),
        ("parts: []\nkind: c", "x.yaml: kind=c: is not one of a, b; correct the value"),
        ("parts: []\nstage: true", "x.yaml: stage=True: is not one of 0, 1; correct the value"),
        ("parts: []\nlabel: x", "x.yaml: label=x: is not a whole number or null; correct the value"),
        ("parts: []\nrate: .nan", "x.yaml: rate=nan: is not a number; correct the value"),
        ("parts: []\nrate: .inf", "x.yaml: rate=inf: is not a number; correct the value"),
        ("parts: []\nrate: fast", "x.yaml: rate=fast: is not a number; correct the value"),
        ("parts: []\nenabled: 3", "x.yaml: enabled=3: is not true or false; correct the value"),
        ("parts: [{name: a, rates: [1, x]}]", "x.yaml: parts.a.rates.1=x: is not a number; correct the value"),
        ("parts: [{}]", "x.yaml: parts.0.name='': is missing; add it: it has no default"),
        (
            "parts: [{name: a, sides: [[1]]}]",
            "x.yaml: parts.a.sides.0=[1]: is not a list of 2: a whole number, a whole number; correct the value",
        ),
        (f"parts: []\nlabel: {'9' * 5000}", "x.yaml=YAML: cannot be read: Exceeds the limit"),
        ("parts: []\nlabel: 1:30", "x.yaml: label=1:30: is not a whole number or null; correct the value"),
        ("parts: []\nlabel: 1_000", "x.yaml: label=1_000: is not a whole number or null; correct the value"),
        ("parts: []\nlabel: 2026-01-31", "x.yaml: label=2026-01-31: is not a whole number or null; correct the value"),
        ("parts: []\n<<: {note: x}", "x.yaml: <<={'note': 'x'}: is not a field"),
        ("parts: abc", "x.yaml: parts=abc: is not a list, each a mapping (Part); correct the value"),
        ("parts: [1]", "x.yaml: parts.0=1: is not a mapping (Part); correct the value"),
    ],
)
def test_a_mistake_is_one_line_with_its_field(text: str, message: str) -> None:
    """A typing error in a saved recipe must not be ignored, nor end in a traceback of a library."""
    with pytest.raises(InputError) as caught:
        from_yaml(Whole, text, "x.yaml")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "parts: !!python/object/apply:os.system ['touch hacked']",
        "a: &a [x, x]\nb: &b [*a, *a]\nparts: [*b, *b]",
        "parts: []\nparts: []",
        "[" * 40 + "]" * 40,
        "- 1\n- 2",
        "parts: [",
        "3: 4",
        "",
        "x" * (MAX_BYTES + 1),
    ],
    ids=["tag", "alias bomb", "duplicate", "deep", "list", "torn", "number key", "empty", "long"],
)
def test_hostile_yaml_is_refused(text: str) -> None:
    """A recipe may come from a stranger: object tags, alias bombs and floods are refused before they cost anything."""
    with pytest.raises(InputError) as caught:
        from_yaml(Whole, text, "x.yaml")
    assert "\n" not in str(caught.value)


def test_leaves_name_every_field() -> None:
    """Overrides and diffs address fields by these names; a part of a tuple has its index."""
    names = {path: value for path, _, value in leaves(WHOLE)}
    assert names["parts.1.name"] == "no"
    assert names["part.name"] == "inner"


def test_from_dict_inverts_to_dict() -> None:
    """Checkpoints and exports hold configurations as JSON."""
    assert from_dict(Whole, to_dict(WHOLE)) == WHOLE
