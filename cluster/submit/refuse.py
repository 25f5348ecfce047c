"""Refuses options that have no effect on an engine, by name, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping

from videoar.cluster.ground.errors import InputError
from videoar.cluster.submit.job import Job

_OPTIONS = {"time_limit": "time", "place": "address or namespace"}
"""Options that are not named like the field."""


def refuse_options(job: Job, engine: str, remedies: Mapping[str, str]) -> None:
    """InputError for the first of these fields or properties that was given; the values say what to do instead."""
    for field, remedy in remedies.items():
        if value := getattr(job, field):
            shown = " ".join(value) if isinstance(value, tuple) else value
            raise InputError(_OPTIONS.get(field, field.replace("_", "-")), shown, f"has no effect on {engine}", remedy)
