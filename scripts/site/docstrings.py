"""Text to Markdown: docstrings as they are written here, and what must be escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

FENCE = re.compile(r"^(```.*?^```[^\n]*\n?)", re.DOTALL | re.MULTILINE)


def outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """The text with `change` applied to everything but fenced blocks of code."""
    parts = FENCE.split(text)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


def from_docstring(text: str) -> str:
    """A docstring as Markdown: indented lines and lines of commands become blocks, lists are set off."""
    blocks = [_block(lines) for lines in _paragraphs(text)]
    return "\n\n".join(blocks).replace("\n```\n\n```bash\n", "\n") + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table, in which columns of numbers are aligned at the right."""
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    columns = zip(*cells, strict=True)
    rule = ["--:" if all(re.match(r"[\d.]", cell) for cell in column) else "---" for column in columns]
    return "\n".join("| " + " | ".join(line) + " |" for line in ([*head], rule, *cells)) + "\n"


def _paragraphs(text: str) -> list[list[str]]:
    """Lines that belong together: separated by an empty line, an indentation, a list or a command."""
    found: list[list[str]] = []
    kind = ""
    for line in text.splitlines():
        now = _kind(line, kind)
        if now and now == kind and now != "item":
            found[-1].append(line)
        elif now:
            found.append([line])
        kind = "list" if now == "item" else now
    return found


def _kind(line: str, before: str) -> str:
    if not line.strip():
        return ""
    if line.startswith("- "):
        return "item"
    if before == "list" and line.startswith(" "):
        return "list"
    if line.startswith("    "):
        return "code"
    return "command" if re.fullmatch(r"`videoar [^`]+`", line.strip()) else "text"


def _block(lines: list[str]) -> str:
    kind = _kind(lines[0], "")
    if kind == "code":
        words = [line[4:] for line in lines]
        language = "bash" if words[0].startswith("videoar ") else "text"
        return "\n".join([f"```{language}", *words, "```"])
    if kind == "command":
        return "\n".join(["```bash", *(line.strip().strip("`") for line in lines), "```"])
    return "\n".join(lines)
