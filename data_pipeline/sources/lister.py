"""Clips that a class of your own names: a database, the manifest of another project, a search."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.plugin_class import plugin_class
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.source import Skipped, Source
from videoar.data_pipeline.sources.table import BadRows, Row, uri_source


class ClipLister(abc.ABC):
    """Names the clips of a dataset. It is called where the plan is made, and neither by actors nor by the trainer."""

    def __init__(self, path: str) -> None:
        self.path = path
        """`source.path`."""

    @abc.abstractmethod
    def rows(self) -> Iterable[Mapping[str, Any]]:
        """One mapping per clip, always in the same order: `uri` (an absolute path, a URL, or a path relative to
        `source.path`), and optionally `caption`, `label`, `start_s` and `end_s`.
        """


def listed_sources(config: SourceConfig) -> Iterator[Source | Skipped]:
    """A source for each row of the class that the configuration names."""
    lister: ClipLister = plugin_class("source.plugin", config.plugin, ClipLister)(config.path)
    bad = BadRows(config.plugin)
    for number, values in enumerate(lister.rows(), start=1):
        if not isinstance(values, Mapping):
            problem, remedy = f"gives a {type(values).__name__} as row {number}", "give a mapping with a `uri`"
            raise InputError("source.plugin", config.plugin, problem, remedy)
        yield uri_source(Row(f"row {number}", dict(values)), bad)
