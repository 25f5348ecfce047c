"""How a stored frame is turned and mirrored to be shown: a film's display matrix, or a picture's EXIF orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Shaped

from videoar.data_pipeline.decoding.sandbox.side_data import attached

Length = TypeVar("Length", int, float)


@dataclass(frozen=True, slots=True)
class Orientation:
    """Transposes the picture, then reverses its columns and rows; each step is optional: all eight cases of EXIF."""

    is_transposed: bool = False
    reverses_columns: bool = False
    reverses_rows: bool = False

    def size(self, height: Length, width: Length) -> tuple[Length, Length]:
        """(height, width) of the shown picture, given the stored picture's; also the other way round."""
        return (width, height) if self.is_transposed else (height, width)

    def upright(self, pixels: Shaped[np.ndarray, "_h _w ..."]) -> Shaped[np.ndarray, "_h2 _w2 ..."]:
        """The picture as it is shown: a view."""
        shown = pixels.swapaxes(0, 1) if self.is_transposed else pixels
        return shown[:: -1 if self.reverses_rows else 1, :: -1 if self.reverses_columns else 1]


def orientation(frame: Any) -> Orientation:
    """From the matrix (x', y') = (x, y) [[a, b], [c, d]] that FFmpeg attaches to frames of films and pictures.

    It is rounded to the nearest of the eight ways in which a picture fills a rectangle.
    """
    matrix = attached(frame, "DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, reverses_columns=c < 0, reverses_rows=b < 0)
    return Orientation(False, reverses_columns=a < 0, reverses_rows=d < 0)
