"""What libraries log during a training goes into a file of the process."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from videoar.cluster.ground.library_log import leave_to_the_program, libraries_logged, process_log
from videoar.cluster.ground.log_level import take_log_level


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    """What the handler of the entry point writes."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(written), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)
    take_log_level([])


def speak() -> None:
    """A line of ours, one of a library, a warning, and an error of a library."""
    logging.getLogger("videoar.pretrain").info("ours")
    logging.getLogger("loud.library").info("building")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", FutureWarning, stacklevel=1)
    logging.getLogger("loud.library").error("broken")


def test_stderr_keeps_ours_and_errors(tmp_path: Path, stderr: io.StringIO) -> None:
    """Our own lines are not found between hundreds of others; an error that nobody sees costs days."""
    path = process_log(tmp_path, 3)
    with libraries_logged(path):
        assert not path.parent.exists(), "a run of quiet libraries has no empty folder"
        speak()
    assert stderr.getvalue() == "ours\nbroken\n"
    lines = path.read_text()
    assert path == tmp_path / "logs" / "process-3.log"
    assert "INFO loud.library: building" in lines
    assert "FutureWarning: old" in lines
    assert "ERROR loud.library: broken" in lines
    assert "ours" not in lines
    logging.getLogger("loud.library").info("after")
    assert stderr.getvalue().endswith("after\n")


def test_debug_shows_all(tmp_path: Path, stderr: io.StringIO) -> None:
    """Whoever looks for a fault wants the lines in their order."""
    take_log_level(["--log-level", "debug"])
    with libraries_logged(process_log(tmp_path, 0)):
        speak()
    assert [line for line in stderr.getvalue().splitlines() if line in ("ours", "building", "broken")] == [
        "ours",
        "building",
        "broken",
    ]
    assert "old" in stderr.getvalue()


def test_nothing_is_written_before_there_is_a_run(tmp_path: Path, stderr: io.StringIO) -> None:
    """A command that is refused leaves no folder behind."""
    with libraries_logged(process_log(tmp_path / "run", 0)):
        speak()
    assert "building" in stderr.getvalue()
    assert not (tmp_path / "run").exists()


def test_keys_are_masked_in_the_file(tmp_path: Path, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in a run directory is copied and shown around."""
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    with libraries_logged(process_log(tmp_path, 0)):
        logging.getLogger("urllib3").info("token hf_0123456789")
    assert "hf_0123456789" not in process_log(tmp_path, 0).read_text()


def test_a_handler_of_a_library_gives_way(tmp_path: Path, stderr: io.StringIO) -> None:
    """DeepSpeed writes to stdout, which holds the results, and Ray to stderr, past every other handler."""
    library, own = logging.getLogger("some_library"), io.StringIO()
    library.addHandler(logging.StreamHandler(own))
    library.propagate = False
    leave_to_the_program("some_library")
    with libraries_logged(process_log(tmp_path, 0)):
        logging.getLogger("some_library.part").warning("noise")
    assert (own.getvalue(), stderr.getvalue()) == ("", "")
    assert "WARNING some_library.part: noise" in process_log(tmp_path, 0).read_text()
