"""Output folders that several processes fill, in turn or together. A record next to each folder names its content, so
that a command with other content is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import write_atomically


def claim(
    out: Path,
    signature: str,
    *,
    field: str = "out",
    holds: str = "videos",
    completes: Callable[[str], bool] = lambda before: False,
) -> None:
    """Make the folder and, next to it, OUT.json with the signature of what it holds.

    InputError, about the option `field`, if the folder holds results of other weights, clips or settings, unless this
    work `completes` those that the signature there describes.
    """
    if (name := out.absolute().name) in ("", ".."):
        raise InputError(
            field, out, "has no name that its record next to it could have", "name a new or an empty folder"
        )
    record = out.absolute().with_name(f"{name}.json")
    if record.exists():
        before = _signature(field, record, holds)
        if before != signature and not completes(before):
            problem = f"holds {holds} of {before}, but this command makes those of {signature}"
            raise InputError(field, out, problem, "name another folder, or remove this one and its .json")
        out.mkdir(exist_ok=True)
        if before == signature:
            return
    elif out.exists() and any(out.iterdir()):
        raise InputError(field, out, f"has files, and no {record.name} is next to it", "name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(record, json.dumps({"signature": signature}) + "\n")  # other parts may begin at the same moment


def _signature(field: str, record: Path, holds: str) -> str:
    try:
        return str(json.loads(record.read_text())["signature"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"is not the record of a folder of {holds}"
        raise InputError(field, record, problem, "move it away, or name another folder") from error
