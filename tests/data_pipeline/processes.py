"""The processes below this one, and the ports on which they listen, read from /proc."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def family(ancestor: int) -> dict[int, str]:
    """A process and all its descendants, with their command lines."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # processes end while one looks
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    found = {ancestor}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return {pid: names.get(pid, "") for pid in found}


def actors(ancestor: int) -> list[int]:
    """Ray's actors of the pool that run below a process."""
    return [pid for pid, name in family(ancestor).items() if name.startswith("ray::_Worker")]


def listening(ancestor: int) -> set[str]:
    """Addresses that a process and its descendants listen on, as /proc writes them."""
    sockets = set()
    for pid in family(ancestor):
        with contextlib.suppress(OSError):
            sockets |= {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {row[1].rsplit(":", 1)[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}
