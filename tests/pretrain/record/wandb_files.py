"""The files of Weights & Biases, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def steps_of(records: list[Any]) -> list[int]:
    """The steps of the rows, in order."""
    items = [item for record in records for item in record.history.item]
    return [int(item.value_json) for item in items if "step" in (item.key, *item.nested_key)]


def wandb_records(path: Path) -> list[Any]:
    """The records in a W&B file, as `wandb sync` would send them: a log of LevelDB's, after seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    raw, place, records = path.read_bytes(), 7, list[Any]()
    assert len(raw) < 32_768, "more than one block"
    while place < len(raw):
        size = int.from_bytes(raw[place + 4 : place + 6], "little")
        records.append(Record.FromString(raw[place + 7 : place + 7 + size]))
        place += 7 + size
    return records
