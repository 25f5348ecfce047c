"""A real Slurm cluster for the tests that ask for it. Where there is none they skip, and say what to install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ...slurm_cluster import SlurmCluster, missing


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Two machines on loopback, for all tests of this process."""
    if reason := missing():
        pytest.skip(reason)
    cluster = SlurmCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def slurm(slurm_cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SlurmCluster:
    """The cluster, with its variable set and an empty current folder."""
    for name, value in slurm_cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return slurm_cluster
