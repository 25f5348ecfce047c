"""What is sent is a file of `templates/`, with its places filled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def filled(name: str, places: Mapping[str, str]) -> str:
    """The template's text. Places are filled once; the inserted texts are not searched for further places."""
    text = (files("videoar.cluster.submit") / "templates" / name).read_text(encoding="utf-8")
    return _PLACE.sub(lambda found: places[found[1]], text)
