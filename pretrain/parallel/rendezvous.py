"""Where the processes of a job meet: within a time limit, with the missing ones named, and with signals still handled.

torch.distributed's own rendezvous waits inside a library: without messages, and without Python's signal handlers.
"""

from __future__ import annotations

import logging
import socket
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

from torch.distributed import DistError, FileStore, PrefixStore, Store, TCPStore

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.process import World

_FILE = "file://"
"""Processes of one machine may meet in a file, which needs no port."""
_POLL_S = 0.2
_SILENT_S = 10.0
"""Seconds of waiting after which it is first logged; each next message comes after six times as long."""
_SHOWN = 8
"""Largest number of processes that a message names."""

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
    meeting = _Meeting(store, world)
    _wait(meeting.is_complete, lambda: f"{meeting.missing()} at {place}", limit_s)
    return PrefixStore(f"job {meeting.number}", store)


class _Meeting:
    """One meeting of the processes of a job.

    Under torchrun the store is the agent's: when a process has died and all are started again, it still holds what the
    earlier ones wrote. So process 0 opens a new meeting at each start. Each process enters it with a word of its own,
    and the meeting is complete for those whose words are on the list that process 0 writes when all have entered.
    """

    def __init__(self, store: Store, world: World) -> None:
        self._store, self._world, self._word = store, world, uuid.uuid4().hex
        self.number = store.add("meetings", 1) if world.is_first else 0

    def is_complete(self) -> bool:
        """Enter the newest meeting; returns whether its list has this process."""
        if (newest := self._store.add("meetings", 0)) and (newest != self.number or self._world.is_first):
            self.number = newest
        if not self.number:
            return False
        self._store.set(self._key(self._world.rank), self._word)
        if self._world.is_first and self._store.check([*map(self._key, range(self._world.world_size))]):
            words = [self._store.get(self._key(rank)).decode() for rank in range(self._world.world_size)]
            self._store.set(self._list, " ".join(words))
        return self._store.check([self._list]) and self._word in self._store.get(self._list).decode().split()

    def missing(self) -> str:
        """`processes 1, 3 of 4`."""
        size = self._world.world_size
        missing = [rank for rank in range(size) if not self._store.check([self._key(rank)])]
        names = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        return f"{'process' if len(missing) == 1 else 'processes'} {names} of {size}"

    def _key(self, rank: int) -> str:
        return f"meeting {self.number}: process {rank}"

    @property
    def _list(self) -> str:
        return f"meeting {self.number}: list"


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
