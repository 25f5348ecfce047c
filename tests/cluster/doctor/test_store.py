from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from tests.s3_server import S3Store
from videoar.cluster.doctor import store as module
from videoar.cluster.doctor.store import listeners, store
from videoar.data_pipeline.storage.objects import Storage


@pytest.mark.slow
def test_the_doctor_reports_whether_a_store_can_be_used(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys must be found before a job of days is started."""
    assert store(s3.url).state == "ok"
    assert Storage.open(s3.url).keys("") == ()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-never-shown")
    S3FileSystem.clear_instance_cache()
    found = store(s3.url)
    assert (found.state, "AWS_SECRET_ACCESS_KEY" in found.remedy) == ("fail", True)


def test_the_doctor_finds_ray_on_every_interface(tmp_path: Path) -> None:
    """Anybody who reaches such a port can run code on this machine."""
    code = "import socket, sys, time\ns = socket.socket()\ns.bind((sys.argv[2], 0))\ns.listen()"
    code += "\nprint(s.getsockname()[1], flush=True)\ntime.sleep(60)"
    cases = (("127.0.0.1", "", "ok"), ("0.0.0.0", "token", "warn"), ("0.0.0.0", "", "fail"))
    for address, mode, state in cases:
        words = [sys.executable, "-c", code, "raylet", address]
        with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "RAY_AUTH_MODE": mode}) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            found = listeners()
            process.kill()
        order = ("ok", "warn", "fail")  # other clusters of this machine may add to it
        assert order.index(found.state) >= order.index(state)
        if found.state == state:
            assert (f"port {port}" in found.found) == (state != "ok")


def test_a_store_is_written_read_and_left_clean(tmp_path: Path) -> None:
    """What the check leaves behind would be taken for data."""
    assert store(str(tmp_path)).state == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_written_fails(tmp_path: Path) -> None:
    """A full or forbidden store must be found before hours of work are written to it."""
    (tmp_path / "file").touch()
    found = store(str(tmp_path / "file"))
    assert found.state == "fail"
    assert found.remedy


@pytest.mark.parametrize(
    ("has_token", "address", "state"), [(True, "0" * 8, "warn"), (False, "0" * 8, "fail"), (False, "0100007F", "ok")]
)
def test_an_open_port_of_ray_is_reported(
    has_token: bool, address: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody who reaches such a port can run code on this machine; on loopback only its own users can."""
    monkeypatch.setattr(module, "_listening", lambda: iter([("raylet", has_token, (address, 6379))]))
    assert listeners().state == state
