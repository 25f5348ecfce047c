"""Clips as one picture: a contact sheet, written as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.files import written_aside

COLUMNS = 8
_GAP = 4


def contact_sheet(
    clips: Sequence[UInt8[np.ndarray, "_f _h _w 3"]], columns: int = COLUMNS
) -> UInt8[np.ndarray, "i j 3"]:
    """One row for each clip, with at most `columns` of its frames, evenly spaced from the first to the last."""
    rows = [np.concatenate([_framed(clip[index]) for index in spread(len(clip), columns)], axis=1) for clip in clips]
    width = max(row.shape[1] for row in rows)
    return np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def spread(count: int, columns: int) -> list[int]:
    """At most `columns` of `count` numbers, evenly spaced from the first to the last."""
    if columns == 1:
        return [0]
    return sorted({round(i * (count - 1) / (columns - 1)) for i in range(columns)})


def save_png(pixels: UInt8[np.ndarray, "i j 3"], path: Path) -> Path:
    """Write a picture; returns its path."""
    options = {"update": "1"}
    with written_aside(path) as aside, av.open(str(aside), "w", format="image2", options=options) as container:
        stream = container.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = pixels.shape[0], pixels.shape[1], "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def _framed(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "i j 3"]:
    return np.pad(frame, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=127)
