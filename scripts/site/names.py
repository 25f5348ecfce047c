"""Names in a text that have a page: commands, recipes, and fields by their dotted path."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from command_pages import place
from docstrings import outside_of_code
from field_pages import field_anchors

from videoar.cluster.cli.command_table import COMMANDS
from videoar.configs.load import recipe_names

_CODE = re.compile(r"(?<!\[)`([^`\n]+)`(?![\]{])")


def names() -> dict[str, str]:
    """Place and anchor by name, as it is written between backticks."""
    commands = {f"videoar {name}": place(name) for name in COMMANDS}
    return {**field_anchors(), **commands, **{name: f"recipes/{name}.md" for name in recipe_names()}}


def with_links(text: str, page: str, targets: Mapping[str, str]) -> str:
    """The text of a page whose names, outside of headings and code, lead to other pages."""

    def link(found: re.Match[str]) -> str:
        target = _target(found[1], targets)
        if not target or target.partition("#")[0] == page:
            return found[0]
        return f"[{found[0]}]({os.path.relpath(target, PurePosixPath(page).parent)})"

    def change(part: str) -> str:
        lines = part.split("\n")
        return "\n".join(line if line.startswith("#") else _CODE.sub(link, line) for line in lines)

    return outside_of_code(text, change)


def _target(code: str, targets: Mapping[str, str]) -> str:
    """The page of a name; of a command line, that of its command."""
    words = code.split()
    if words[:1] == ["videoar"]:
        return next((targets[name] for n in (3, 2) if (name := " ".join(words[:n])) in targets), "")
    return targets.get(code.replace(".*.", ".NAME."), "")
