"""Side data that FFmpeg attaches to a frame: the display matrix, a colour profile."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

from av.dictionary import Dictionary
from av.sidedata import sidedata


def attached(frame: Any, kind: str) -> Any:
    """The side data of a frame, by its kind in PyAV; None if there is none.

    `frame.side_data` is not used, because it forms a reference cycle with the frame, whose pixels stay in memory until
    Python collects cycles. Hundreds of frames accumulate until then: decoding slows down, and large frames fill memory.
    """
    container_of: Any = sidedata.SideDataContainer
    container = container_of(frame)
    for item in container:
        _keep_names(item)
    return container.get(kind)


def _keep_names(item: Any) -> None:
    """Never delete PyAV's dictionary of an item's names (of a colour profile, for example): it and the frame would both
    free the names, which kills the process. This leaks some bytes."""
    for part in gc.get_referents(item):
        if isinstance(part, Dictionary) and len(part):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(part))


def _unknown_kind(kind: Any, value: int) -> Any:
    """A kind of side data that PyAV has no name for: by default it raises ValueError, and no other kind can be read."""
    found = object.__new__(kind)
    found._name_, found._value_ = f"KIND_{value}", value
    return found


setattr(sidedata.Type, "_missing_", classmethod(_unknown_kind))  # noqa: B010  # FFmpeg 8 attaches EXIF (31) to pictures
