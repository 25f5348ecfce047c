from __future__ import annotations

import threading
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.processes import sign_of_life
from videoar.cluster.ground.processes.sign_of_life import alive, wait_for


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_of_life, "_POLL_S", 0.01)
    monkeypatch.setattr(sign_of_life, "_REFRESH_S", 0.01)


def test_work_may_last_longer_than_the_limit(tmp_path: Path) -> None:
    """Preparing data takes hours: only silence ends the wait."""
    ready, sign = tmp_path / "ready", tmp_path / "sign"
    threading.Timer(0.5, ready.touch).start()
    with alive(sign):
        wait_for(ready, sign, "prepares", 0.3)
    assert not sign.exists()


def test_silence_ends_the_wait(tmp_path: Path) -> None:
    """Under srun nobody ends the others when the first process fails: they held their GPUs for ever."""
    with pytest.raises(Stopped, match=r"process 0, which prepares x, has shown no sign of life for 0\.05 s"):
        wait_for(tmp_path / "ready", tmp_path / "sign", "prepares x", 0.05)
