"""`videoar doctor`: check what this machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.output import say
from videoar.cluster.ground.finding import as_json, as_text


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check what this machine can do: each line is ok, warn or fail, with the remedy. Exit code 1 if anything fails."""

    store: Annotated[str | None, arg(metavar="URL")] = None
    """Folder or fsspec URL for shards or checkpoints: the check writes, reads and removes one object there."""
    json: bool = False
    """Print each line as a JSON object, for scripts."""


def doctor(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.doctor.doctor import examine

    options = parse(Doctor, words, prog)
    findings = examine(options.store)
    for finding in findings:
        say(as_json(finding) if options.json else as_text(finding))
    return 1 if any(finding.state == "fail" for finding in findings) else 0
