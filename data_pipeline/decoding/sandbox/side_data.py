"""What FFmpeg attaches to a frame besides its pixels: the display matrix, a colour profile."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

from av.dictionary import Dictionary
from av.sidedata import sidedata


def attached(frame: Any, kind: str) -> Any:
    """What is attached to a frame, by its kind in PyAV; None if there is nothing.

    Not by `frame.side_data`: the frame keeps that, and that keeps the frame, so that its pixels stay in memory until
    Python looks for such circles. Hundreds of frames gather until then: the decoder gets slow, and large ones fill it.
    """
    container_of: Any = sidedata.SideDataContainer
    container = container_of(frame)
    for item in container:
        _keep_names(item)
    return container.get(kind)


def _keep_names(item: Any) -> None:
    """What PyAV makes of an item's names (that of a colour profile) would free them, and so does the frame: the process
    dies. It is never deleted, which costs some bytes."""
    for part in gc.get_referents(item):
        if isinstance(part, Dictionary) and len(part):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(part))


def _unknown_kind(kind: Any, value: int) -> Any:
    """A kind of side data that PyAV has no name for: it raises ValueError instead of letting others be read."""
    found = object.__new__(kind)
    found._name_, found._value_ = f"KIND_{value}", value
    return found


setattr(sidedata.Type, "_missing_", classmethod(_unknown_kind))  # noqa: B010  # FFmpeg 8 attaches EXIF (31) to pictures
