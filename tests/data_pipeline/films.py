"""Films by x264 with the key frames that a test asks for."""

from __future__ import annotations

from pathlib import Path

import av

from .videos import scene

GOP, NUM_FRAMES = 25, 150
CLOSED = "b-pyramid=2"
OPEN = "open-gop=1:b-adapt=0:bframes=4"
REFRESHED = "intra-refresh=1"
"""A film without a key frame after its first: columns are refreshed one after the other."""


def write_film(folder: Path, suffix: str, options: str) -> str:
    """A film of six seconds by x264, in the given container and with the given options; its path."""
    path = str(folder / f"film.{suffix}")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.options = {"preset": "veryfast", "x264-params": f"keyint={GOP}:scenecut=0:{options}"}
        for pixels in scene(1, NUM_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path
