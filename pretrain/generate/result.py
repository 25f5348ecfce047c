"""Videos as output: frames in memory, and the file that they become."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from videoar.pretrain.generate.writers import kind_of, writer


@dataclass(frozen=True, slots=True)
class Video:
    """Frames of RGB in time order."""

    frames: UInt8[np.ndarray, "f h w 3"]
    fps: float

    def save(self, path: str | Path) -> Path:
        """Write a file of the kind that its name ends in; returns its path.

        `.mp4` is H.264 in yuv420p, which any player opens; `.gif` loops; `.png` is a sheet of at most 8 frames.
        """
        path = Path(path)
        with writer(path, kind_of(path, None), self.fps, len(self.frames)) as add:
            for frame in self.frames:
                add(frame)
        return path
