"""Lines of the documentation, as somebody types them into a shell."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE_S = 3600.0
"""Seconds after which a line counts as hung: some train for minutes, and several tests share a machine."""
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
    """A line in a shell of its own; a page is ended by Ctrl-C once it is there, as its documentation says."""
    words = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if said := next((shown for command, shown in PAGES.items() if line.startswith(command)), ""):
        return _shown(line.partition(" #")[0], said, folder, words)
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=words, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def _listen_to_ctrl_c() -> None:
    """A shell that runs the tests behind it has its processes ignore the signal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _shown(line: str, said: str, folder: Path, words: dict[str, str]) -> None:
    """A command that shows a page, until it has said so."""
    log, begun = folder / "page.log", time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=folder,
            env=words,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_listen_to_ctrl_c,
        )
    while process.poll() is None and said not in log.read_text() and time.monotonic() - begun < PATIENCE_S:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    code = process.wait(PATIENCE_S)
    assert said in log.read_text(), f"{line}\n{log.read_text()[-4000:]}"
    assert code in (0, 130, -signal.SIGINT), f"{line}: {code}\n{log.read_text()[-4000:]}"
    log.unlink()
