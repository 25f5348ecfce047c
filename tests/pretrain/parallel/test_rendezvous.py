"""Processes that meet: those that do not come are named, in time."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence

import pytest
from torch.distributed import Store, TCPStore

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.process import World
from videoar.pretrain.parallel import rendezvous
from videoar.pretrain.parallel.rendezvous import meet


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def test_processes_that_do_not_come_are_named(
    place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A job of a thousand waited in silence; someone must find out which machine is missing."""
    monkeypatch.setattr(rendezvous, "_SILENT_S", 0.01)
    with caplog.at_level(logging.INFO), pytest.raises(Stopped, match=r"waited 0.3 s for processes 1, 2 of 3 at 127"):
        meet(World(world_size=3, rendezvous=place), 0.3)
    assert caplog.messages[0].startswith("waiting for processes 1, 2 of 3 at 127.0.0.1:")


def test_a_process_without_the_first_one_says_so(place: str) -> None:
    """It cannot know about the others: it waits for the one that keeps the list."""
    with pytest.raises(Stopped, match=r"waited 0\.1 s for process 0 at 127"):
        meet(World(rank=1, world_size=2, rendezvous=place), 0.1)


def test_processes_meet(place: str) -> None:
    """The second one may come first."""
    stores = started(place, (1, 0))
    stores[1].set("word", "seen")
    assert stores[0].get("word") == b"seen"


def test_processes_that_are_started_again_meet_anew(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun restarts them around one store: they read the addresses of the dead ones, and every restart failed."""
    host, port = place.removeprefix("tcp://").split(":")
    agent = TCPStore(host, int(port), is_master=True, wait_for_workers=False)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    first = started(place, (0, 1))
    first[0].set("address", "of a dead process")
    for order in ((1, 0), (0, 1)):
        again = started(place, order)
        assert not again[1].check(["address"])
        again[0].set("address", "new")
        assert again[1].get("address") == b"new"
    del agent


def started(place: str, order: Sequence[int]) -> dict[int, Store]:
    """The stores of two processes that start in this order."""
    stores = dict[int, Store]()

    def come(rank: int) -> None:
        stores[rank] = meet(World(rank=rank, world_size=2, rendezvous=place), 60.0)

    threads = [threading.Thread(target=come, args=(rank,)) for rank in order]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    return stores


def test_a_port_that_is_taken_is_one_line() -> None:
    """Two jobs on one machine: a trace of C++ does not say what to set."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Stopped, match=rf"cannot meet at 127\.0\.0\.1:{port} .*; set MASTER_ADDR and MASTER_PORT"):
            meet(World(world_size=2, rendezvous=f"tcp://127.0.0.1:{port}"), 1.0)
