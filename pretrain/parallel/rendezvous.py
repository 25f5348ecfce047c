"""Where the processes of a job meet: within a time limit, naming those that are missing, and open to signals.

torch.distributed's own rendezvous waits inside a library: in silence, and without Python's handlers of signals.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from datetime import timedelta

from torch.distributed import DistError, FileStore, PrefixStore, Store, TCPStore

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.process import World

_FILE = "file://"
"""Processes of one machine may meet in a file, which needs no port."""
_POLL_S = 0.2
_SILENT_S = 10.0
"""Seconds of waiting before it is logged; then after each six times as long."""
_SHOWN = 8
"""Processes that a message names."""

log = logging.getLogger(__name__)


def meet(world: World, limit_s: float) -> Store:
    """A store that every process of the job has reached; Stopped after `limit_s` seconds without one of them."""
    if world.rendezvous.startswith(_FILE):
        place = world.rendezvous
        store: Store = FileStore(world.rendezvous.removeprefix(_FILE), world.world_size)
    else:
        host, port = world.meeting()
        place = f"{host}:{port}"
        if not world.keeps_store:
            _wait(lambda: _listens(host, port), lambda: f"process 0 at {place}", limit_s)
        store = _open(host, port, world, limit_s)
    store.set(_key(world.rank), "here")
    store.add("arrived", 1)
    _wait(lambda: store.add("arrived", 0) >= world.world_size, lambda: f"{_missing(store, world)} at {place}", limit_s)
    return PrefixStore("job", store)


def _open(host: str, port: int, world: World, limit_s: float) -> TCPStore:
    limit = timedelta(seconds=limit_s)
    try:
        return TCPStore(
            host,
            port,
            world.world_size,
            is_master=world.keeps_store,
            timeout=limit,
            wait_for_workers=False,
            multi_tenant=True,
        )
    except (DistError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise Stopped(
            f"the processes cannot meet at {host}:{port} ({reason}); set MASTER_ADDR and MASTER_PORT"
        ) from error


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def _wait(is_over: Callable[[], bool], whom: Callable[[], str], limit_s: float) -> None:
    begun, spoken = time.monotonic(), _SILENT_S
    while not is_over():
        waited = time.monotonic() - begun
        if waited > limit_s:
            raise Stopped(
                f"waited {limit_s:g} s for {whom()}; start every process of the job within faults.hang_timeout_s, on "
                "machines that reach that address"
            )
        if waited > spoken:
            log.info("waiting for %s", whom())
            spoken *= 6
        time.sleep(_POLL_S)


def _missing(store: Store, world: World) -> str:
    """`processes 1, 3 of 4`."""
    missing = [rank for rank in range(world.world_size) if not store.check([_key(rank)])]
    names = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
    return f"{'process' if len(missing) == 1 else 'processes'} {names} of {world.world_size}"


def _key(rank: int) -> str:
    return f"process {rank}"
