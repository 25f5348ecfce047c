"""A page that is served by a process of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.exported import export_folder
from tests.forked import PATIENCE_S, Forked, command

UPLOAD_MIB = 1


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`videoar serve` with two checkpoints: its URL. It is ended as by Ctrl-C, and must leave no file behind."""
    pytest.importorskip("gradio", reason="Gradio is not installed")
    weights, folder = export_folder(tmp_path_factory.mktemp("export") / "small"), tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        asked = ("--compare", weights, "--port", 0, "--max-upload-mib", UPLOAD_MIB, "--max-frames", 10001)
        process = command("serve", weights, *asked)
    yield _url(process)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate()
    assert process.returncode == 0, complained[-20_000:]
    assert said.count("\n") == 1
    assert complained.endswith("the page is closed\n")
    assert not [path for path in folder.rglob("*") if path.is_file() or "videoar" in path.name]


def _url(process: Forked) -> str:
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE_S and process.poll() is None:
        if said := process.said():
            return said.strip()
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1][-20_000:])
