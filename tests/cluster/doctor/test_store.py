from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.doctor import store as module
from videoar.cluster.doctor.store import listeners, store


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
    """Whoever reaches such a port runs code on this machine; on loopback nobody else does."""
    monkeypatch.setattr(module, "_listening", lambda: iter([("raylet", has_token, (address, 6379))]))
    assert listeners().state == state
