"""Films that the project has written, read back by PyAV alone."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def decoded(path: Path) -> np.ndarray:
    """Every frame in RGB (f, h, w, 3)."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
