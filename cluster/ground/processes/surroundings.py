"""Errors of the machine around the program (disks, folders, limits of the system) as one line each."""

from __future__ import annotations

import errno
import os
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from videoar.cluster.ground.errors import InputError, Stopped, StoreError

LEAST_FILES = 256
"""Open files below which Ray dumps its memory and ends, and processes cannot connect to each other."""

_REFUSED = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP),
}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_TOO_MANY = {errno.EMFILE, errno.ENFILE}
_FAILED = {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENOTCONN, errno.EREMOTEIO}
_NUMBER = re.compile(r"\((?:os error )?(\d+)\)")
"""The system's error number at the end of messages of libraries in Rust (safetensors) and C++ (torch)."""

_LOST = re.compile(
    r"gloo.*(closed|reset) by peer|gloo.*(Read|Write) error|NCCL.*(remote process exited|peer)", re.DOTALL
)
"""How gloo and NCCL say in a collective that another process is gone."""


def explained(error: Exception, place: str = "") -> InputError | StoreError | None:
    """The error as one line that names the file, or `place` if it names none; None if it is not of this kind."""
    if isinstance(error, UnicodeDecodeError):
        return InputError("path", place or "a file", "is not UTF-8 text", "restore it")
    if isinstance(error, RuntimeError) and _LOST.search(str(error)):
        return StoreError("the job", "lost another process, which ended or cannot be reached", "see what failed first")
    number = error.errno if isinstance(error, OSError) else _number_in_text(error)
    named = getattr(error, "filename2", None) or getattr(error, "filename", None)
    where = os.fsdecode(named) if isinstance(named, str | bytes | os.PathLike) else place or "a file"
    if number in _REFUSED:
        return InputError("path", where, f"is refused ({os.strerror(number)})", "give a place that you may use")
    if number in _FULL:
        return StoreError(place or where, "the disk is full", "free some space and run the same command again")
    if number in _TOO_MANY:
        return StoreError(where, "cannot be opened, too many files are open", "raise the limit (`ulimit -n`)")
    if number in _FAILED:
        return StoreError(where, f"failed ({os.strerror(number)})", "check the disk, then run the same command again")
    return None


def home() -> Path:
    """The home folder. A user in a container may have none; then it is `~`, which does not exist."""
    return Path(os.path.expanduser("~"))  # Path.home() would raise


def read_text(path: Path) -> str:
    """The text of a file of ours; InputError if a damaged disk left other bytes."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError("path", path, "is not UTF-8 text", "restore it") from error


def check_loopback() -> None:
    """Stopped unless processes of this machine can reach each other; libraries would wait for minutes."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=10).close()
    except OSError as error:
        problem = f"127.0.0.1 cannot be reached ({error.strerror or error}), where the processes of this machine meet"
        raise Stopped(f"{problem}; start the loopback interface: `ip link set lo up`") from error


def check_open_files(wanted: int) -> None:
    """Stopped if this process may not open `wanted` files; raises its own limit if the system allows that."""
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < wanted <= highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, highest))
    elif limit < wanted:
        raise Stopped(f"{limit} files may be open, and {wanted} are needed; raise the limit (`ulimit -n {wanted}`)")


def _number_in_text(error: Exception) -> int | None:
    """The system's number of an error that another language has turned into text."""
    found = _NUMBER.search(str(error))
    number = int(found[1]) if found else None
    return number if number and os.strerror(number) in str(error) else None


@contextmanager
def explain_full_disk(place: str) -> Iterator[None]:
    """One line for a full or read-only disk, for a place that may not be written, and for too many open files."""
    try:
        yield
    except (FileExistsError, StoreError):
        raise
    except OSError as error:
        if (line := explained(error, place)) is None:
            raise
        raise line from error
