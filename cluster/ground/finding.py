"""What a look at a machine or a run has found: one line for a person, one JSON object for a script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["ok", "warn", "fail", "skip"]
"""`skip`: it could not be judged, and `found` says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    """What is there."""
    remedy: str = ""
    """What to do, where the state is not ok."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """The numbers behind `found`, for scripts."""


def as_text(finding: Finding) -> str:
    """One line for a person."""
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{finding.state:<4}  {finding.name:<14}  {finding.found}{remedy}"


def as_json(finding: Finding) -> str:
    """One line for a script."""
    return json.dumps(asdict(finding))
