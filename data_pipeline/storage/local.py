"""Writes files on this machine's disks, after which they are complete or absent."""

from __future__ import annotations

import errno
import os
import re
import uuid
from collections.abc import Callable
from typing import IO

from videoar.cluster.ground.errors import InputError, StoreError

UNFINISHED = ".part"
"""End of the name of a local file that is not complete yet."""
UNFINISHED_NAME = re.compile(r"\.[0-9a-f]{8}\.part$")
"""What a writer adds to the name of a local file until it is complete."""


def write_local(path: str, fill: Callable[[IO[bytes]], object]) -> None:
    """A crash leaves the old file or the new one: write a temporary file, flush it, rename it, flush the folder."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, exist_ok=True)
    except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        raise InputError("url", folder, f"cannot be made ({error.strerror})", "give another folder") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise InputError("url", f"{folder[:80]}…", "is too long a name", "give a shorter one") from error
    unfinished = f"{path}.{uuid.uuid4().hex[:8]}{UNFINISHED}"
    try:
        with open(unfinished, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.replace(unfinished, path)
        except FileNotFoundError as error:
            raise StoreError(folder, "lost a file while it was written", "run the same command again") from error
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
