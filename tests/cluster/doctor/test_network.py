from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from videoar.cluster.doctor import network
from videoar.cluster.doctor.network import Listener, listeners
from videoar.cluster.ground.errors import Stopped

ORDER = ("ok", "warn", "fail")
"""Other programs of this machine may make a line worse."""


def test_a_machine_without_loopback_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray and torchrun's agent wait for minutes there before they fail."""

    def refuse() -> None:
        raise Stopped("127.0.0.1 cannot be reached; start it")

    assert network.loopback().state == "ok"
    monkeypatch.setattr(network, "check_loopback", refuse)
    found = network.loopback()
    assert (found.state, found.found, found.remedy) == ("fail", "127.0.0.1 cannot be reached", "start it")


def test_the_doctor_finds_ray_on_every_interface() -> None:
    """Anybody who reaches such a port can run code on this machine."""
    code = "import socket, sys, time\ns = socket.socket()\ns.bind((sys.argv[2], 0))\ns.listen()"
    code += "\nprint(s.getsockname()[1], flush=True)\ntime.sleep(60)"
    for address, mode, state in (("127.0.0.1", "", "ok"), ("0.0.0.0", "token", "warn"), ("0.0.0.0", "", "fail")):
        words = [sys.executable, "-c", code, "raylet", address]
        with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "RAY_AUTH_MODE": mode}) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            found = listeners()
            process.kill()
        assert ORDER.index(found.state) >= ORDER.index(state)
        if found.state == state == "fail":
            assert f"port {port}" in found.found


def test_a_program_that_listens_to_everyone_is_a_warning() -> None:
    """A notebook or a demo runs what it is sent. The port where the processes of a job meet is open on purpose."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        mine = [one for one in network._listening() if one.port == port]
        assert [(one.is_ray, one.address) for one in mine] == [(False, "0" * 8)]
        assert listeners().state != "ok"
        found = listeners({port})
    assert f"port {port} " not in found.found


CASES = [(True, True, "0" * 8, "warn"), (True, False, "0" * 32, "fail"), (True, False, "0100007F", "ok")]


@pytest.mark.parametrize(("is_ray", "has_token", "address", "state"), [*CASES, (False, False, "0" * 8, "warn")])
def test_an_open_port_is_reported(
    is_ray: bool, has_token: bool, address: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody who reaches such a port can run code on this machine; on loopback only its own users can."""
    one = Listener("raylet", 6379, address, is_ray, has_token)
    monkeypatch.setattr(network, "_listening", lambda: iter([one]))
    assert listeners().state == state
    assert (listeners().found == "raylet on port 6379 listen on every interface") == (state == "fail" or not is_ray)
