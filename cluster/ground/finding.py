"""The result of one check of a machine or a run: one line for people, one JSON object for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["ok", "warn", "fail", "skip"]
"""Result of a check; `skip` means that it could not be made, and `found` gives the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    state: State
    found: str
    """What the check found, in words."""
    remedy: str = ""
    """What to do if the state is not ok."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """The numbers behind `found`, for scripts."""


def as_text(finding: Finding) -> str:
    """One line for people."""
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{finding.state:<4}  {finding.name:<14}  {finding.found}{remedy}"


def as_json(finding: Finding) -> str:
    """One line for a script."""
    return json.dumps(asdict(finding))
