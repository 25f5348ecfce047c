"""Whether a store writes, reads and removes an object, and which Ray processes listen to the network."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.finding import Finding

_RAY = ("raylet", "gcs_server", "ray::", "ray/dashboard", "ray/_private")
_ALL = ("00000000", "0" * 32)


def store(url: str) -> Finding:
    """Write, read and remove one small object below the URL."""
    from videoar.data_pipeline.storage.objects import Storage

    key, payload = f"doctor.{uuid.uuid4().hex[:8]}", os.urandom(1 << 16)
    began = time.monotonic()
    try:
        storage = Storage.open(url)
        storage.write(key, payload)
        try:
            is_same = storage.read(key) == payload
        finally:
            storage.remove(key)
    except (InputError, StoreError) as error:
        return Finding(name="storage", state="fail", found=f"{url}: {error.problem}", remedy=error.remedy)
    if not is_same:
        return Finding(name="storage", state="fail", found=f"{url} returned other bytes", remedy="use another store")
    took_ms = 1000 * (time.monotonic() - began)
    return Finding(name="storage", state="ok", found=f"{url}: written, read and removed in {took_ms:.0f} ms")


def listeners() -> Finding:
    """Ray runs code for anyone who connects: its ports belong on loopback, or behind a token and a firewall."""
    found = {
        f"{name} on port {port}": has_token for name, has_token, (address, port) in _listening() if address in _ALL
    }
    if not found:
        return Finding(name="open ports", state="ok", found="no Ray process listens on every interface")
    open_ports = ", ".join(sorted(found)[:4]) + " listen on every interface"
    if all(found.values()):
        return Finding(
            name="open ports",
            state="warn",
            found=f"{open_ports}, behind a token",
            remedy="let a firewall close these ports to all but the machines of the cluster",
        )
    return Finding(
        name="open ports", state="fail", found=open_ports, remedy="start Ray with RAY_AUTH_MODE=token, or stop it"
    )


def _listening() -> Iterator[tuple[str, bool, tuple[str, int]]]:
    """(name, whether it asks for a token, address as the kernel writes it and port) of Ray's processes of this user."""
    places = dict(_sockets())
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process of another user, or one that has ended
            name = (folder / "cmdline").read_text().replace("\0", " ")
            if any(word in name for word in _RAY):
                has_token = b"RAY_AUTH_MODE=token" in (folder / "environ").read_bytes().split(b"\0")
                links = [os.readlink(link) for link in (folder / "fd").iterdir()]
                short = name.split()[0].rsplit("/", 1)[-1]
                yield from ((short, has_token, places[link]) for link in links if link in places)


def _sockets() -> Iterator[tuple[str, tuple[str, int]]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            for row in (line.split() for line in Path(table).read_text().splitlines()[1:]):
                if row[3] == "0A":
                    address, port = row[1].rsplit(":", 1)
                    yield f"socket:[{row[9]}]", (address, int(port, 16))
