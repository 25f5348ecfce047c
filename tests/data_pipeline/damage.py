"""Damage to the files of prepared datasets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .jobs import config, shapes

DATA = config(shapes(), shapes("others", num_clips=4))


Damage = Callable[[Path], object]


def change(key: str, **fields: object) -> Damage:
    """Other values for some fields of a JSON file."""

    def damage(folder: Path) -> None:
        path = folder / key
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return damage


def put(key: str, text: str) -> Damage:
    """This text in place of the file."""
    return lambda folder: (folder / key).write_text(text)


def only(pattern: str, work: Damage) -> Damage:
    """Damage to the one file that matches the pattern."""

    def damage(folder: Path) -> None:
        (path,) = folder.glob(pattern)
        work(path)

    return damage


def rename(key: str, other: str) -> Damage:
    """The file under another name."""
    return lambda folder: (folder / key).rename(folder / other)
