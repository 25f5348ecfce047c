"""The loopback interface, and programs that listen to the network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.processes.surroundings import check_loopback

_RAY = ("raylet", "gcs_server", "ray::", "ray/dashboard", "ray/_private")
_PYTHON = ("python", "jupyter", "tensorboard", "torchrun")
"""Programs that run code for whoever connects: rendezvous of torchrun, notebooks, demos of Gradio."""
_ALL = ("00000000", "0" * 32)
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket of this user on which a program waits for connections."""

    program: str
    port: int
    address: str
    """As the kernel writes it."""
    is_ray: bool
    has_token: bool


def loopback() -> Finding:
    """127.0.0.1, where the processes that one machine starts meet."""
    try:
        check_loopback()
    except Stopped as error:
        found, _, remedy = str(error).partition("; ")
        return failed("loopback", found, remedy)
    return ok("loopback", "processes of this machine reach each other")


def listeners(expected: Collection[int] = ()) -> Finding:
    """Programs that run code for anyone who connects belong on loopback, or behind a token and a firewall.

    `expected` are ports of this job, where its processes meet.
    """
    found = [one for one in _listening() if one.address in _ALL and one.port not in expected]
    bare = [one for one in found if one.is_ray and not one.has_token]
    if bare:
        return failed("open ports", _named(bare), "start Ray with RAY_AUTH_MODE=token, or stop it")
    guarded = [one for one in found if one.is_ray]
    if guarded:
        remedy = "use a firewall that opens these ports only to the machines of the cluster"
        return warned("open ports", f"{_named(guarded)}, behind a token", remedy)
    if found:
        remedy = "start them with the address 127.0.0.1, or let a firewall close these ports"
        return warned("open ports", _named(found), remedy, ports=sorted(one.port for one in found))
    return ok("open ports", "no Ray or Python program listens on every interface")


def _named(found: list[Listener]) -> str:
    names = sorted({f"{one.program} on port {one.port}" for one in found})
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more} listen on every interface"


def _listening() -> Iterator[Listener]:
    """Listening sockets of this user's Ray and Python processes."""
    places = dict(_sockets())
    launcher = str(os.getppid())  # torchrun's agent keeps the store where the processes of this job meet
    for folder in (one for one in Path("/proc").glob("[0-9]*") if one.name != launcher):
        with contextlib.suppress(OSError):  # a process of another user, or one that has ended
            words = (folder / "cmdline").read_text(errors="replace").split("\0")
            line, short = " ".join(words), words[0].split(" ")[0].rsplit("/", 1)[-1]
            is_ray = any(word in line for word in _RAY)
            if is_ray or short.startswith(_PYTHON):
                has_token = b"RAY_AUTH_MODE=token" in (folder / "environ").read_bytes().split(b"\0")
                for address, port in (places[link] for link in _links(folder / "fd") if link in places):
                    yield Listener(short, port, address, is_ray, has_token)


def _links(folder: Path) -> Iterator[str]:
    """What the open files of a process are."""
    for link in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            yield os.readlink(link)


def _sockets() -> Iterator[tuple[str, tuple[str, int]]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            for row in (line.split() for line in Path(table).read_text().splitlines()[1:]):
                if row[3] == "0A":
                    address, port = row[1].rsplit(":", 1)
                    yield f"socket:[{row[9]}]", (address, int(port, 16))
