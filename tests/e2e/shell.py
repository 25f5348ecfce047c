"""Lines of the documentation, as somebody types them into a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PATIENCE_S = 3600.0
"""Seconds after which a line counts as hung: some train for minutes, and several tests share a machine."""
PAGE_S = 60
"""Seconds until Ctrl-C ends a command that shows a page."""
PAGES = {"videoar serve": "http://127.0.0.1:78", "tensorboard": "TensorBoard"}
"""Commands that show a page until Ctrl-C, and what they say when it is there."""


def blocks(text: str, kind: str) -> list[str]:
    """The blocks of a page of one kind, bash or python, in their order."""
    return re.findall(rf"```{kind}[^\n]*\n(.*?)```", text, re.DOTALL)


def lines(text: str) -> list[str]:
    """The lines of all shell blocks of a page; continued ones are joined, and what a block exports is before each."""
    found = []
    for block in blocks(text, "bash"):
        exported: list[str] = []
        for line in re.sub(r"[ \t]*\\\n\s*", " ", block).splitlines():
            if line.startswith("export "):
                exported.append(line.partition(" #")[0].strip())
            elif line.strip():
                found.append("; ".join([*exported, line]))
    return found


def typed(line: str, folder: Path) -> None:
    """A line in a shell of its own; a page is ended by Ctrl-C, as its documentation says."""
    words = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = next((shown for command, shown in PAGES.items() if line.startswith(command)), "")
    shown = f"timeout --preserve-status --signal INT {PAGE_S} {line.partition(' #')[0]}" if said else line
    done = subprocess.run(
        ["bash", "-c", shown], cwd=folder, env=words, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode in ((0, 1, 130) if said else (0,)), f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert said in done.stdout + done.stderr, f"{line}\n{done.stderr[-4000:]}"
