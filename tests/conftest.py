"""Every test process computes on one thread: two that spin on a shared core are slower than one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from . import checked_calls  # noqa: F401  # before the package is imported

# isort: split
from videoar.cluster.ground.log_level import take_log_level
from videoar.configs.debug import recipe

from .forked import name_modules
from .s3_server import BUCKET, S3Server, S3Store
from .slurm_cluster import PACKAGES, missing


@pytest.fixture(autouse=True)
def default_log_level() -> Iterator[None]:
    """A command with `--quiet` sets the level of the whole process: other tests of it see the default."""
    yield
    take_log_level([])


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Ours, and that of every process a test starts."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    name_modules()


@pytest.fixture(scope="session")
def debug_data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shards of the debug recipe, prepared once, without the ten seconds that a Ray cluster takes to start."""
    from .data_pipeline.jobs import make_shards

    output = _shared(tmp_path_factory) / "debug-data"
    with FileLock(f"{output}.lock"):
        if not output.exists():
            made = output.with_suffix(".part")
            make_shards(recipe().data, made)
            made.rename(output)
    return str(output)


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this run of the tests, for all processes of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


LONGEST = (
    "parity",
    "scripts",
    "data_pipeline/preparing",
    "data_pipeline",
    "faults",
    "e2e",
    "configs/test_smoke",
    "pretrain/parallel",
    "benchmarks",
)
"""Folders and files that come first. While parity keeps several processes busy, the other worker has few of them."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Under `-m "not slow ..."` a file of slow tests is not imported: it may load Megatron, which takes seconds."""
    if "not slow" not in config.option.markexpr or not collection_path.match("test_*.py"):
        return None
    return "\npytestmark = pytest.mark.slow\n" in collection_path.read_text() or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: at the end of a run no process waits for another."""
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: min((places[name] for name in places if name in item.nodeid), default=len(places)))


NOT_INSTALLED = {
    "Gradio is not installed": "pip install -c constraints.txt -e '.[serve]'",
    "Playwright is not installed": "pip install -c constraints.txt playwright",
    "Chromium is not installed": "apt-get install chromium",
}
"""What tests of the page say that skip themselves, and what to run."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests that skip because a program is not installed say so in a line that is seen."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for mark, why in ((PACKAGES, missing()), *NOT_INSTALLED.items()):
        if count := sum(mark in reason for reason in reasons):
            terminalreporter.write_line(f"{count} tests skipped, {why}", red=True)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small T5 encoder with random weights."""
    from .data_pipeline.encoders import make_encoder  # imports transformers

    return make_encoder(tmp_path_factory.mktemp("t5"), 0)


@pytest.fixture
def data(debug_data: str, tmp_path: Path) -> Path:
    """The debug recipe's shards, as links, so that the states of captions stored next to them are only this test's."""
    from .data_pipeline.encoders import link_shards

    return link_shards(debug_data, tmp_path / "data")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server on loopback, started when the first test asks for it. It fails loudly where it cannot run."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        from s3fs import S3FileSystem

        _enter(server, patch)
        S3FileSystem(skip_instance_cache=True).call_s3("create_bucket", Bucket=BUCKET)
    yield server
    server.kill()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """An empty folder on the S3 server, and the variables that reach it set in this process."""
    _enter(s3_server, monkeypatch)
    url = f"s3://{BUCKET}/{next(_PREFIXES):04d}"
    yield S3Store(url=url, endpoint=s3_server.endpoint, environment=s3_server.environment)
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()


_PREFIXES = itertools.count()


def _enter(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    """s3fs keeps its clients with the credentials they began with: forget those of other tests."""
    from s3fs import S3FileSystem  # a GPU machine runs its tests without object storage

    for name, value in server.environment.items():
        patch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
