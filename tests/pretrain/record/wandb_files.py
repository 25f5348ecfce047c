"""The files of Weights & Biases, read back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0


def steps_of(records: list[Any]) -> list[int]:
    """The steps of the rows, in order."""
    items = [item for record in records for item in record.history.item]
    return [int(item.value_json) for item in items if "step" in (item.key, *item.nested_key)]


def wandb_records(path: Path) -> list[Any]:
    """The records in the W&B file of a run that ended. W&B's process writes the last of them a moment later."""
    deadline = time.monotonic() + PATIENCE_S
    while not (records := _read(path)) or not records[-1].HasField("exit"):
        assert time.monotonic() < deadline, "the file has no end"
        time.sleep(0.05)
    return records


def _read(path: Path) -> list[Any]:
    """The whole records so far, as `wandb sync` would send them: a log of LevelDB's, after seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    raw, place, records = path.read_bytes(), 7, list[Any]()
    assert len(raw) < 32_768, "more than one block"
    while place + 7 < len(raw):
        end = place + 7 + int.from_bytes(raw[place + 4 : place + 6], "little")
        if end > len(raw):
            break
        records.append(Record.FromString(raw[place + 7 : end]))
        place = end
    return records
