from __future__ import annotations

import errno
import pwd
import resource
import socket

import pytest
from safetensors import SafetensorError
from torch.distributed import DistBackendError

from videoar.cluster.ground.errors import InputError, Stopped, StoreError
from videoar.cluster.ground.processes.surroundings import check_loopback, check_open_files, explained, home


def of_system(number: int, *names: str) -> OSError:
    return OSError(number, "x", names[0] if names else None, None, names[1] if len(names) > 1 else None)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (of_system(errno.EROFS, "/a"), "path=/a: is refused (Read-only file system); give a place that you may use"),
        (of_system(errno.EISDIR, "/.a.writing", "/a"), "path=/a: is refused (Is a directory); give a place that you"),
        (of_system(errno.ENOSPC), "/run: the disk is full; free some space and run the same command again"),
        (of_system(errno.EMFILE, "/a"), "/a: cannot be opened, too many files are open; raise the limit (`ulimit -n`)"),
        (of_system(errno.EIO, "/a"), "/a: failed (Input/output error); check the disk, then run the same command"),
        (
            SafetensorError("I/O error: No space left on device (os error 28)"),
            "/run: the disk is full; free some space",
        ),
        (RuntimeError("unable to open file <a>: Too many open files (24)"), "/run: cannot be opened, too many files"),
        (
            RuntimeError("[/pytorch/gloo/transport/tcp/pair.cc:537] Read error [::1]:31415: Connection reset by peer."),
            "the job: lost another process, which ended or cannot be reached; see what failed first",
        ),
        (
            DistBackendError(
                "NCCL error, ncclRemoteError: A call failed possibly due to a network error or a remote process exited"
            ),
            "the job: lost another process",
        ),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), "path=/run: is not UTF-8 text; restore it"),
    ],
)
def test_what_the_machine_refuses_is_one_line(error: Exception, line: str) -> None:
    """A trace of thirty lines hides that a disk is full."""
    found = explained(error, "/run")
    assert isinstance(found, InputError | StoreError)
    assert str(found).startswith(line)


@pytest.mark.parametrize("error", [RuntimeError("shape (28) is wrong"), KeyError("a"), FileNotFoundError(2, "x", "/a")])
def test_our_own_mistakes_keep_their_trace(error: Exception) -> None:
    """They would be taken for the machine's."""
    assert explained(error, "/run") is None


def test_without_loopback_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray tries for minutes, torchrun's agent for two."""
    check_loopback()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(
        Stopped, match=r"127\.0\.0\.1 cannot be reached \(Network is unreachable\).*`ip link set lo up`"
    ):
        check_loopback()


def test_a_low_limit_of_files_is_raised_or_named() -> None:
    """Ray dumps its memory when it cannot open one."""
    limit, highest = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit - 10, highest))
        check_open_files(limit - 5)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limit - 5, highest)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with pytest.raises(Stopped, match=rf"{highest + 1} are needed; raise the limit \(`ulimit -n {highest + 1}`\)"):
        check_open_files(highest + 1)


def test_a_user_without_a_home_folder_has_no_files_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker run --user 1000` with an empty environment: no HOME, and no line in /etc/passwd."""

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert not (home() / ".kube" / "config").exists()
