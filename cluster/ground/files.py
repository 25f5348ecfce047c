"""What commands write: files appear complete or not at all, and those of others stay as they are."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from videoar.cluster.ground.errors import InputError, StoreError

WRITING = ".writing"
"""Name of the folder, and suffix of the files, that are not complete yet."""


def refuse_existing(field: str, path: Path, *, force: bool) -> None:
    """InputError for a file that exists, unless --force allows replacing it."""
    _check_name(field, path)
    if path.is_dir():
        raise InputError(field, path, "is a folder", "name a file")
    if os.path.lexists(path) and not force:
        raise InputError(field, path, "exists", "name another file, or add --force to replace it")


def check_folder(field: str, folder: Path) -> None:
    """InputError for a folder that cannot be written, or made where it does not exist; makes nothing."""
    _check_name(field, folder)
    there = folder
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise InputError(field, folder, f"cannot be made ({there} is not a folder)", "give a folder that you can write")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(
            field, folder, f"cannot be written ({there} is read-only, or not yours)", "give a folder that you can write"
        )


def _check_name(field: str, path: Path) -> None:
    """InputError for a path that the system does not take: too long, a loop of links, below a file."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        pass  # reported by the caller, with the part that is a file
    except OSError as error:
        raise InputError(field, path, f"cannot be used ({error.strerror})", "give another name") from error


def first_stranger(folder: Path, own: Collection[str]) -> str | None:
    """The first file below a folder that is not among `own` (paths below it); None if there is none."""
    if not folder.is_dir():
        return folder.name if os.path.lexists(folder) else None
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name not in own and not name.startswith(f"{WRITING}/"):
            return name
    return None


LIBRARY_LOGS = "logs"
"""Folder of a run with a file for each process, which is there before the run has begun."""
LOGS = (".log", ".out", ".err", ".txt")
"""Ends of names of files that a scheduler or shell may have put into the folder of a run before it begins."""


def check_run_folder(run: Path, own: Collection[str], config: str) -> None:
    """InputError for a folder without a saved recipe (`config`) that holds anything but files of a run and logs."""
    if not run.is_dir() or (run / config).exists():
        return
    for path in sorted(run.iterdir()):
        is_ours = path.name in (*own, LIBRARY_LOGS) or path.name.startswith(".nfs") or path.name.endswith(WRITING)
        if not is_ours and not (path.is_file() and path.suffix in LOGS):
            raise InputError("run", run, f"holds {path.name} and is not a run", "give a new or an empty folder")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A temporary file next to a file, whose place it takes after the block; removed if the block fails.

    Of several processes that write the same file at once each has its own, and the last one that ends wins.
    StoreError if the folder is gone.
    """
    path = path.resolve()  # the target of a link is replaced, and the link stays
    if not path.parent.exists():
        raise StoreError(str(path), "cannot be written, its folder is gone", "make it, and run the same command again")
    with _own_file(path) as aside:
        try:
            yield aside
            os.replace(aside, path)
        except BaseException as error:
            discard(aside)
            if isinstance(error, OSError) and error.errno is not None and error.filename is None:
                error.filename = str(path)  # the error of a full disk does not name the file
            raise


@contextmanager
def _own_file(path: Path) -> Iterator[Path]:
    """An empty file next to another, locked: the one that a killed process has left, or a name that nobody else has."""
    name = path.with_name(f".{path.name}{WRITING}")
    while True:
        with name.open("ab") as claim:
            if not _is_locked_by_other(claim):
                if not _is_at(claim, name):
                    continue  # its writer has just put it in place
                claim.truncate(0)
                yield name
                return
        name = path.with_name(f".{path.name}.{uuid4().hex[:8]}{WRITING}")


def _is_at(file: IO[Any], path: Path) -> bool:
    """Whether an open file still has this name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step, so that readers see the old content or the new one."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


@contextmanager
def filled_folder(out: Path, former: Collection[str] = (), *, last: str) -> Iterator[Path]:
    """A temporary folder, whose files are moved to `out` after the block; it is removed in any case.

    A new `out` appears in one step. In an existing one `last` is removed first, files are replaced one by one, `last`
    after all others, and those of `former` (paths below `out`) that the new ones lack are removed; other files stay.
    """
    out = out.resolve()
    is_new = not out.exists()
    # Next to a folder that does not exist, but inside an existing one: it may be a mount point.
    aside = out.with_name(f".{out.name}{WRITING}") if is_new else out / WRITING
    with _claimed(aside, out):
        yield aside
        if is_new:
            aside.rename(out)
            (out / _CLAIM).unlink()
        else:
            _move(aside, out, former, last)


_CLAIM = ".claim"
"""File in a temporary folder that its process has locked: one that nobody has locked was left by a killed process."""


@contextmanager
def _claimed(aside: Path, out: Path) -> Iterator[None]:
    """Make a temporary folder of this process alone, and remove it at the end; one that was left behind is replaced."""
    busy = InputError("path", out, "is being written by another process", "wait until it is done")
    if aside.exists():
        if not (aside / _CLAIM).is_file():
            raise InputError("path", aside, "is in the way of a temporary folder", "move it away")
        with (aside / _CLAIM).open() as claim:
            if _is_locked_by_other(claim):
                raise busy
            discard(aside)
    try:
        aside.mkdir(parents=True)
    except FileExistsError as error:
        raise busy from error
    try:
        with (aside / _CLAIM).open("w") as claim:
            if _is_locked_by_other(claim):
                raise busy
            yield
    finally:
        discard(aside)


def _is_locked_by_other(file: IO[Any]) -> bool:
    """Lock a file until it is closed; True if another process has locked it. Without locks, one writer is assumed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return False


def discard(path: Path) -> None:
    """Remove a temporary file or folder if it exists; an error here would hide the one that it is discarded for."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _move(aside: Path, out: Path, former: Collection[str], last: str) -> None:
    names = [path.relative_to(aside).as_posix() for path in aside.rglob("*") if not path.is_dir()]
    names.remove(_CLAIM)
    if last:
        (out / last).unlink(missing_ok=True)  # killed halfway, a folder must not look whole
    for name in sorted(names, key=lambda name: (name == last, name)):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside / name, out / name)
    for stale in set(former) - set(names):
        (out / stale).unlink(missing_ok=True)
