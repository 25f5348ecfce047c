from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from videoar.cluster.doctor import limits


@contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    """A real limit of this process."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@pytest.mark.parametrize(("free", "state"), [(9 << 30, "ok"), (2 << 30, "warn"), (1 << 20, "fail")])
def test_a_disk_that_is_full(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a run need not exist yet; the disk is that of the folder above it."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    found = limits.disk(tmp_path / "runs" / "new")
    assert found.state == state
    assert found.found.endswith(f"free in {tmp_path}")
    shared = limits.shared_memory()
    assert shared.state == ("ok" if free > 1 << 28 else "warn")


def test_a_disk_that_is_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount that was lost shows the empty folder below it."""
    monkeypatch.setattr(limits.os, "access", lambda folder, mode: False)
    assert limits.disk(Path("/")).state == "fail"


def test_a_container_without_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SHARED", tmp_path / "shm")
    assert limits.shared_memory().state == "warn"


def test_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray fails with a message about sockets when the limit is low; the remedy is another one."""
    with limited(resource.RLIMIT_NOFILE, 900):
        found = limits.open_files()
    assert (found.state, found.figures["limit"], found.remedy) == ("warn", 900, "ulimit -n 65536")
    monkeypatch.setattr(limits.resource, "getrlimit", lambda kind: (128, 128))
    assert limits.open_files().state == "fail"


@pytest.mark.parametrize(
    ("soft", "of_container", "state"), [(1000, "max", "warn"), (5000, "200", "fail"), (5000, "max", "ok")]
)
def test_few_processes(
    soft: int, of_container: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads count as well: a loader that cannot start one ends the run."""
    (tmp_path / "pids.max").write_text(f"{of_container}\n")
    monkeypatch.setattr(limits, "PIDS", tmp_path / "pids.max")
    with limited(resource.RLIMIT_NPROC, soft):
        assert limits.processes().state == state


def test_locked_memory_matters_to_rdma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL fails with `ibv_reg_mr failed` on such a machine, or falls back to a network of a tenth of the speed."""
    monkeypatch.setattr(limits, "INFINIBAND", tmp_path / "infiniband")
    with limited(resource.RLIMIT_MEMLOCK, 64 << 10):
        assert limits.locked_memory().state == "ok"
        (tmp_path / "infiniband" / "mlx5_0").mkdir(parents=True)
        found = limits.locked_memory()
    assert (found.state, found.found) == ("fail", "limit 64 KiB with 1 RDMA adapters (mlx5_0)")
