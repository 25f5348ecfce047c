"""Every number that a person can set has limits, and a value outside them is one line that names what was typed.

The fields are found, not listed: a new one without limits fails here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, get_args, get_origin

import pytest

from videoar.cluster.cli.arguments import own_flags
from videoar.cluster.cli.command_table import COMMANDS
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_values, is_union, types_of
from videoar.cluster.ground.fields.limits import Limits
from videoar.cluster.ground.fields.overrides import override
from videoar.configs import debug, tokenizer_demo
from videoar.data_pipeline.config.datasets import (
    DatasetConfig,
    DuplicateConfig,
    FilterConfig,
    PluginConfig,
    SourceConfig,
)
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe, StageConfig
from videoar.pretrain.generate.pipeline import Request
from videoar.pretrain.generate.sampler import Sampling
from videoar.pretrain.model.pretrained import ExportConfig, Provenance
from videoar.tokenizer.config import ClipBucket

PLUGIN = PluginConfig(name="light", plugin="mine:Light", minimum=0.0, maximum=1.0)


def full_recipe() -> Recipe:
    """The debug recipe with every optional part present, so that a test reaches every field."""
    base = debug.recipe()
    films = DatasetConfig(
        name="films",
        source=SourceConfig(path="films"),
        bucket=ClipBucket(schedule="32x32", num_frames=5),
        more_buckets=(ClipBucket(schedule="64x64", num_frames=5),),
        filters=FilterConfig(max_duration_s=9.0, max_enlarge=2.0, max_fps=60.0, min_motion=0.0, scores=(PLUGIN,)),
        duplicates=DuplicateConfig(method="embedding", embedding=PLUGIN),
        captioner=PLUGIN,
    )
    stage = replace(base.stages[0], mixture=base.stages[0].mixture[:1], parallel=ParallelConfig())
    return replace(base, data=replace(base.data, datasets=(base.data.datasets[0], films)), stages=(stage,))


RECIPES: dict[str, Any] = {"generator": full_recipe(), "tokenizer": tokenizer_demo.recipe()}
WITHOUT = {(Request, "guidance"), (Provenance, "ended"), (ExportConfig, "format_version")}
"""Checked as Guidance; written by us and compared with what is known."""
ROOTS = [Recipe, TokenizerRecipe, Request, Sampling, ExportConfig, *(command.options for command in COMMANDS.values())]


def scalars(kind: Any, limits: Limits | None = None) -> Iterator[tuple[Any, Limits | None]]:
    """Every type inside a field's type, with the limits that are declared for it."""
    if get_origin(kind) is Annotated:
        base, *rules = get_args(kind)
        yield from scalars(base, next((rule for rule in rules if isinstance(rule, Limits)), limits))
    elif is_union(kind) or get_origin(kind) is tuple:
        for part in get_args(kind):
            yield from scalars(part)
    else:
        yield kind, limits


def classes(roots: list[type]) -> set[type]:
    """The dataclasses that the roots are made of."""
    found: set[type] = set()
    while roots:
        cls = roots.pop()
        found.add(cls)
        parts = {part for kind in types_of(cls).values() for part, _ in scalars(kind) if dataclasses.is_dataclass(part)}
        roots = [*roots, *(parts - found)]
    return found


def numbers(config: Any, path: str = "") -> Iterator[tuple[str, Any, str, type, Limits]]:
    """(dotted field as a person types it, its configuration, name, int or float, limits) of every number of a tree."""
    for name, kind in types_of(type(config)).items():
        value, field = getattr(config, name), f"{path}{name}"
        if dataclasses.is_dataclass(value):
            yield from numbers(value, f"{field}.")
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            for index, part in enumerate(value):
                yield from numbers(part, f"{field}.{getattr(part, 'name', index)}.")
        else:
            yield from ((field, config, name, part, limits) for part, limits in scalars(kind) if limits)


def outside(part: type, limits: Limits) -> list[float]:
    """The nearest numbers that are not inside, and what is no number at all."""
    if part is int:
        between = [int(limits.low) + 1] if limits.step else []
        return [int(limits.low) - 1, int(limits.high) + 1, 10**30, *between]
    below = limits.low if limits.above else math.nextafter(limits.low, -math.inf)
    above = limits.high if limits.below else math.nextafter(limits.high, math.inf)
    return [float(below), float(above), math.nan, math.inf, -math.inf]


def inside(part: type, limits: Limits) -> list[float]:
    """The outermost numbers that have a meaning."""
    if part is int:
        return [limits.low, limits.high]
    low = math.nextafter(limits.low, math.inf) if limits.above else limits.low
    return [float(low), math.nextafter(limits.high, -math.inf) if limits.below else float(limits.high)]


def once(recipe: Any) -> list[tuple[str, Any, str, type, Limits]]:
    """Each number of each class once, wherever a recipe has it."""
    return list({(type(number[1]), number[2]): number for number in numbers(recipe)}.values())


def in_place(config: Any, name: str, value: object) -> object:
    """The value of a field with one number in it; in a list, the first."""
    kept = getattr(config, name)
    return (value, *kept[1:]) if isinstance(kept, tuple) else value


def typed(config: Any, name: str, value: object) -> list[str]:
    """The words of a flag that sets it."""
    words = in_place(config, name, value)
    return [str(word) for word in words] if isinstance(words, tuple) else [str(words)]


def test_every_number_has_limits() -> None:
    """The limits of a field are declared with its type; without them nothing else here would look at it."""
    missing = [
        f"{cls.__name__}.{name}"
        for cls in classes(list(ROOTS))
        for name, kind in types_of(cls).items()
        for part, limits in scalars(kind)
        if part in (int, float) and limits is None and (cls, name) not in WITHOUT
    ]
    assert not missing


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_number_outside_is_refused_by_the_name_that_was_typed(recipe: Any) -> None:
    """A negative rate, a NaN or a seed of 70 bits would train to nothing, or end in a traceback of a library."""
    for field, config, name, part, limits in once(recipe):
        values = outside(part, limits)
        with pytest.raises(InputError) as caught:
            override(recipe, {field: typed(config, name, values[0])})
        assert caught.value.field.startswith(field), f"{field}: {caught.value}"
        assert "\n" not in str(caught.value)
        for value in (*values, "1:30", True):
            with pytest.raises(InputError):
                check_values(type(config), {name: in_place(config, name, value)}, "")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_number_inside_is_taken_or_refused_by_another_rule(recipe: Any) -> None:
    """The outermost values are where a division by zero or a table of a terabyte waits: one line, never a traceback."""
    for field, config, name, part, limits in once(recipe):
        for value in inside(part, limits):
            with contextlib.suppress(InputError):
                replace(config, **{name: in_place(config, name, value)})
                if isinstance(config, ClipBucket | ModelConfig | StageConfig):  # the recipe checks them again
                    override(recipe, {field: typed(config, name, value)})


def test_a_number_outside_is_refused_in_python_too() -> None:
    """A recipe is a program; a configuration that is made there is checked as one from a file."""
    seen = set()
    for _, config, name, part, limits in (number for recipe in RECIPES.values() for number in once(recipe)):
        seen.add(type(config))
        with pytest.raises(InputError):
            replace(config, **{name: in_place(config, name, outside(part, limits)[0])})
    with_numbers = {
        cls
        for cls in classes([Recipe, TokenizerRecipe])
        if any(limits for kind in types_of(cls).values() for _, limits in scalars(kind))
    }
    assert seen == with_numbers


WORDS = {
    "bench": ["attention"],
    "submit": ["debug", "--to", "slurm"],
    "evaluate fvd": ["x", "x", "--detector", "rf-fvd"],
}
"""What these commands must be given."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_outside_is_refused_by_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The check comes before the work: nothing is opened, made or written."""
    options = COMMANDS[name].options
    required = [field.name for field in dataclasses.fields(options) if field.default is dataclasses.MISSING]
    words = WORDS.get(name, ["debug" if field == "recipe" else "x" for field in required])
    for option in own_flags(options):
        fields = types_of(options)
        kind = fields[option] if option in fields else fields[f"{option}_"]  # `from` is a word of Python
        for value in [value for part, limits in scalars(kind) if limits for value in outside(part, limits)]:
            assert main([*name.split(), *words, f"--{option.replace('_', '-')}={value}"]) == 2
            error = capsys.readouterr().err
            assert error.startswith((f"{option}=", f"{option}.0="))
            assert error.count("\n") == 1
