"""Lists the inputs of any kind of source in a fixed order, and checks each."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from videoar.cluster.ground.credentials import redact
from videoar.cluster.ground.errors import InputError, InputErrors
from videoar.cluster.ground.fields.checks import is_utf8
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.sources.drawn import drawn_sources
from videoar.data_pipeline.sources.folder import folder_sources
from videoar.data_pipeline.sources.lister import listed_sources
from videoar.data_pipeline.sources.source import Skipped, Source
from videoar.data_pipeline.sources.table import table_sources
from videoar.data_pipeline.sources.tars import tar_sources
from videoar.data_pipeline.sources.ucf101 import ucf101_sources

Inputs = Generator[Source | Skipped, None, None]

_LARGEST_LABEL = 2**31 - 1


def iter_sources(config: SourceConfig, max_bytes: int = DecodeLimits().max_bytes) -> Inputs:
    """Every input in a fixed order: a source, or why it cannot be used."""
    for item in _inputs(config, max_bytes):
        if isinstance(item, Skipped):
            yield replace(item, source=_printable(item.source))
        elif reason := _problem(item):
            yield Skipped(source=_printable(item.name), reason=reason, kind="unreadable")
        else:
            yield item


def _printable(name: str) -> str:
    """The name without credentials, and with bytes that are not UTF-8 escaped, because a plan holds UTF-8 only."""
    return redact(name.encode("utf-8", "backslashreplace").decode())


def _problem(source: Source) -> str:
    """Why a source cannot be stored in a plan; empty if it can."""
    texts = {"name": source.name, "caption": source.caption}
    for what, text in texts.items():
        if not is_utf8(text) or "\0" in text:
            return f"its {what} is not UTF-8 text"
    if source.label is not None and abs(source.label) > _LARGEST_LABEL:
        return f"its label has more than {_LARGEST_LABEL.bit_length()} bits"
    if not all(math.isfinite(time) for time in (source.start_s, source.end_s or 0.0)):
        return "its start_s or end_s is not finite"
    if source.end_s is not None and source.end_s <= source.start_s:
        return f"its end_s={source.end_s:g} does not come after start_s={source.start_s:g}"
    return ""


def _inputs(config: SourceConfig, max_bytes: int) -> Iterator[Source | Skipped]:
    if config.is_drawn:
        yield from drawn_sources(config)
    elif config.kind == "table":
        yield from table_sources(config)
    elif config.kind == "webdataset":
        yield from tar_sources(config, max_bytes)
    elif config.kind == "ucf101":
        yield from ucf101_sources(config)
    elif config.kind == "plugin":
        yield from listed_sources(config)
    else:
        yield from folder_sources(config)


@contextmanager
def naming_source(field: str) -> Iterator[None]:
    """Make errors of a source name the field as the user types it; `field` is the source's field in the recipe."""
    try:
        yield
    except InputError as error:
        if not error.field.startswith("source."):
            raise
        full = field + error.field.removeprefix("source")
        raise InputError(full, error.value, error.problem, error.remedy) from error


@contextmanager
def naming_all(field: str, count: int) -> Iterator[None]:
    """Raise one error instead of `count` errors if all `count` sources miss the same folder above their paths.

    `field` is the field that sets the paths of all sources: `data.datasets.all.source.path`.
    """
    try:
        yield
    except InputErrors as several:
        gaps = {_gap(error) for error in several.errors}
        gap = gaps.pop() if len(several.errors) == count and len(gaps) == 1 else None
        if gap is None:
            raise
        paths = dict.fromkeys(Path(str(error.value)).absolute() for error in several.errors)
        below = ", ".join(path.relative_to(gap).as_posix() for path in paths if path != gap)
        problem = f"does not exist, and all {count} sources read {f'from it ({below})' if below else 'it'}"
        option = f"--{field.replace('_', '-')} DIR"
        if len(paths) > 1:
            option = option.replace(".all.", ".NAME.")
        remedy = (
            f"make it, link to it, or give {'each source its own' if len(paths) > 1 else 'another'} folder: {option}"
        )
        raise InputError(field, _as_typed(gap, several.errors[0]), problem, remedy) from several


def _gap(error: InputError) -> Path | None:
    """The topmost folder that is missing above a path; None for another error, or a path elsewhere."""
    place = str(error.value)
    if not error.field.endswith("source.path") or "://" in place or os.path.lexists(place):
        return None
    path = Path(place).absolute()
    return next((above for above in reversed((path, *path.parents)) if not os.path.lexists(above)), None)


def _as_typed(gap: Path, error: InputError) -> Path:
    """The missing folder as the beginning of the path that was typed."""
    typed = Path(str(error.value))
    return next((part for part in (typed, *typed.parents) if part.absolute() == gap), gap)


def list_sources(config: SourceConfig) -> tuple[list[Source], list[Skipped]]:
    """Every source in a fixed order, and what was left out."""
    found = list(iter_sources(config))
    return [item for item in found if isinstance(item, Source)], [item for item in found if isinstance(item, Skipped)]


def count_inputs(config: SourceConfig) -> int | None:
    """The number of inputs of `iter_sources`; None for tars, where counting is expensive."""
    return None if config.kind == "webdataset" else sum(1 for _ in iter_sources(config))
