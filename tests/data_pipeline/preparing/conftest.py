"""A small dataset to do harm to, and the Ray cluster that the tests of real runs share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3_server import S3Server

from ..damage import DATA
from ..jobs import make_shards

POISON = """
import sys
if "videoar.data_pipeline.decoding.sandbox.main" in sys.orig_argv:
    import ctypes, time
    import av
    opened = av.open
    def poisoned(path, *words, **options):
        name = path.rsplit("/", 1)[-1]
        if name.startswith("segfault"):
            ctypes.string_at(0)
        if name.startswith("hang"):
            time.sleep(3600)
        while name.startswith("memory"):
            kept = [bytes(1 << 28)] + (kept if "kept" in locals() else [])
        return opened(path, *words, **options)
    av.open = poisoned
"""
"""Python imports it in every process that has it on its path: the real decoder, with real faults, by name of a file."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[None]:
    """One cluster for all tests of this folder, as a user's that was there before: starting one takes five seconds.

    Its machine has the keys of the store, and its decoders meet poisoned files.
    """
    import ray

    from videoar.data_pipeline.preparing.ray_cluster import ray_cluster

    hook = tmp_path_factory.mktemp("hook")
    (hook / "sitecustomize.py").write_text(POISON)
    path = os.pathsep.join(filter(None, [str(hook), os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PYTHONPATH": path, **s3_server.environment}.items():
            patch.setenv(name, value)
        with ray_cluster(3, 0.0):
            yield
            assert ray.is_initialized(), "a preparation shut down a cluster that was not its own"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets `shapes` (three shards) and `others` (one)."""
    out = tmp_path_factory.mktemp("whole") / "out"
    make_shards(DATA, out)
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    """A copy of `whole` to do harm to."""
    return Path(shutil.copytree(whole, tmp_path / "out"))
