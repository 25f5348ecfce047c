from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from tests.s3_server import S3Store
from videoar.cluster.doctor.store import clock, store
from videoar.data_pipeline.storage.objects import Storage


@pytest.mark.slow
def test_the_doctor_reports_whether_a_store_can_be_used(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys must be found before a job of days is started."""
    assert store(s3.url).state == "ok"
    assert Storage.open(s3.url).keys("") == ()
    assert clock(s3.url).state == "ok"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-never-shown")
    S3FileSystem.clear_instance_cache()
    found = store(s3.url)
    assert (found.state, "AWS_SECRET_ACCESS_KEY" in found.remedy) == ("fail", True)


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


@contextmanager
def server(behind_s: float) -> Iterator[str]:
    """A server whose clock is behind ours; it refuses everything."""

    class Refuses(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() - behind_s)  # type: ignore[arg-type]

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuses) as found:
        threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


@pytest.mark.parametrize(("behind_s", "state"), [(0, "ok"), (60, "warn"), (-60, "warn"), (3600, "fail")])
def test_a_clock_that_is_off(behind_s: float, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 refuses every request of such a machine, with a message about signatures."""
    with server(behind_s) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        found = clock("s3://bucket/run")
    assert found.state == state
    assert abs(float(str(found.figures["ahead_s"])) - behind_s) < 30  # on a busy machine


def test_a_server_that_does_not_answer_gives_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the store can be reached is another line."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert clock("s3://bucket/run").state == "warn"
    assert clock(str(tmp_path)).state == "ok"
