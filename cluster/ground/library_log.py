"""Log lines of libraries, and warnings, go into a file of the process; stderr shows only our lines and errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from videoar.cluster.ground.credentials import guard_output
from videoar.cluster.ground.files import LIBRARY_LOGS

_OURS = ("videoar", "__main__")


def leave_to_the_program(library: str) -> None:
    """Remove the handler that a library attached to its logger when it was imported: the program's get its records."""
    logger = logging.getLogger(library)
    logger.handlers.clear()
    logger.propagate = True


def process_log(run: Path, rank: int) -> Path:
    """The file of a process of a run."""
    return run / LIBRARY_LOGS / f"process-{rank}.log"


@contextmanager
def libraries_logged(path: Path) -> Iterator[None]:
    """Inside the block, libraries log into the file, which is appended to and made with the first line.

    Their errors also go to stderr, and so does everything with `--log-level debug`. A run that is refused must not make
    its folder, so lines from before the folder exists go only to stderr.
    """
    root, file, quiet = logging.getLogger(), _LibraryFile(path), _Quiet(path)
    on_stderr = [handler for handler in root.handlers if type(handler) is logging.StreamHandler]  # not those of files
    for handler in on_stderr:
        handler.addFilter(quiet)
    root.addHandler(file)
    guard_output()
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(file)
        file.close()
        for handler in on_stderr:
            handler.removeFilter(quiet)


class _LibraryFile(logging.FileHandler):
    """Writes the records of libraries, with time and name. Makes its folder with the first."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, delay=True, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.addFilter(lambda record: _is_for_the_file(record, path))
        self._folder = path.parent

    def emit(self, record: logging.LogRecord) -> None:
        self._folder.mkdir(exist_ok=True)
        super().emit(record)


class _Quiet(logging.Filter):
    """Keeps records that are in the file off stderr, except errors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def filter(self, record: logging.LogRecord) -> bool:
        shows_all = logging.getLogger(_OURS[0]).level == logging.DEBUG
        return shows_all or record.levelno >= logging.ERROR or not _is_for_the_file(record, self._path)


def _is_for_the_file(record: logging.LogRecord, path: Path) -> bool:
    return record.name.partition(".")[0] not in _OURS and path.parent.parent.is_dir()
