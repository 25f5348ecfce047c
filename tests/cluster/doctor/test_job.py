"""The doctor at the start of a job of several processes."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from videoar.cluster.doctor import job
from videoar.cluster.doctor.check import Asked, failed, ok
from videoar.cluster.doctor.job import examine_job
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.process import World

BAD = failed("open files", "limit 9", "ulimit -n 65536")


def place() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def examined(findings: dict[int, Finding], monkeypatch: pytest.MonkeyPatch) -> dict[int, object]:
    """What each process of a job gets whose machines are examined so; the third shares a machine with the second."""
    worlds = [World(rank=rank, local_rank=int(rank == 2), world_size=3, rendezvous="") for rank in range(3)]
    where, ends = place(), dict[int, object]()

    def examine(asked: Asked, ports: object = ()) -> Iterator[Finding]:
        yield findings[int(threading.current_thread().name)]

    def come(world: World) -> None:
        try:
            ends[world.rank] = examine_job(Asked(), World(**{**_fields(world), "rendezvous": where}), 60.0)
        except SystemExit as stop:
            ends[world.rank] = stop.code

    monkeypatch.setattr(job, "examine", examine)
    threads = [threading.Thread(target=come, args=(world,), name=str(world.rank)) for world in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def _fields(world: World) -> dict[str, object]:
    return {name: getattr(world, name) for name in ("rank", "local_rank", "world_size")}


def test_a_broken_machine_ends_every_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Process 0 says which machine it is, in one line, before the others end and an agent ends it."""
    monkeypatch.setattr("videoar.cluster.doctor.nodes.node", lambda: f"node-{threading.current_thread().name}")
    ends = examined({0: ok("open files", "limit 65536"), 1: BAD}, monkeypatch)
    assert ends == {0: 1, 1: 1, 2: 1}
    assert capsys.readouterr().err == "doctor: open files: node-1: limit 9; ulimit -n 65536\n"


def test_machines_that_are_well_go_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One line says that they were looked at."""
    with caplog.at_level(logging.INFO):
        ends = examined({0: ok("disk", "9 GiB"), 1: ok("disk", "8 GiB")}, monkeypatch)
    assert all(end not in (1, None) for end in ends.values())
    assert caplog.messages == ["doctor: 3 ok"]


def test_a_job_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "examine", lambda asked: iter([BAD]))
    with pytest.raises(Stopped, match=r"^doctor: \S+: open files: limit 9; ulimit -n 65536$"):
        examine_job(Asked(), World())


@pytest.mark.parametrize(
    "words", [("train", "debug", "--run"), ("data", "run", "debug", "--output")], ids=["train", "data"]
)
def test_a_job_on_a_broken_machine_does_not_begin(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its devices would idle until somebody looks."""
    asked = list[Asked]()

    def examine(wanted: Asked) -> Iterator[Finding]:
        asked.append(wanted)
        yield BAD

    monkeypatch.setattr(job, "examine", examine)
    assert main([*words, str(tmp_path / "out"), "--doctor"]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("doctor: ")]
    assert len(said) == 1
    assert list(tmp_path.iterdir()) == []
    assert asked[0].folder == tmp_path / "out"
    assert "clients" not in asked[0].groups
    assert json.dumps(sorted(asked[0].groups))
