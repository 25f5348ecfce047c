"""Videos as MP4, and the way between bytes and the tokenizer's pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32, UInt8
from torch import Tensor

from videoar.cluster.ground.files import written_aside
from videoar.data_pipeline.decoding.sandbox.picture import fit_frame
from videoar.tokenizer.pixels import from_bytes, to_bytes


def save_mp4(frames: Iterable[UInt8[np.ndarray, "h w 3"]], path: str | Path, fps: float) -> Path:
    """Write frames as they come; the file appears when it is complete, and replaces one of the same name."""
    with mp4_writer(Path(path), fps) as add:
        for frame in frames:
            add(frame)
    return Path(path)


AddFrame = Callable[[UInt8[np.ndarray, "h w 3"]], None]
"""Appends a frame to a video that is being written."""


@contextmanager
def mp4_writer(path: Path, fps: float) -> Iterator[AddFrame]:
    """Yields what appends frames to an MP4 (H.264, yuv420p); the file appears after the block, when it is complete.

    An odd height or width gains one repeated row or column: yuv420p halves both.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "faststart"}
    with written_aside(path) as aside, av.open(str(aside), "w", format="mp4", options=options) as container:
        stream: Any = None

        def add(frame: UInt8[np.ndarray, "h w 3"]) -> None:
            nonlocal stream
            frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
            if stream is None:
                rate = Fraction(fps).limit_denominator(1001)
                stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
                stream.height, stream.width, stream.pix_fmt = frame.shape[0], frame.shape[1], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))

        yield add
        assert stream is not None, "a video has at least one frame"
        container.mux(stream.encode())


def fit(frames: UInt8[np.ndarray, "f h w 3"], height: int, width: int) -> UInt8[np.ndarray, "f height width 3"]:
    """Resize to cover height x width and crop at the centre, as training does; unchanged if it has this size."""
    if frames.shape[1:3] == (height, width):
        return frames
    resizer = VideoReformatter()
    pictures = (av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24") for frame in frames)
    return np.stack([fit_frame(picture, 1.0, resizer, height, width, "centre") for picture in pictures])


def to_tensor(frames: UInt8[np.ndarray, "f h w 3"]) -> Float32[Tensor, "1 3 f h w"]:
    """Bytes to RGB in [-1, 1], the tokenizer's input."""
    return from_bytes(torch.from_numpy(np.ascontiguousarray(frames))[None])


def to_frames(video: Float32[Tensor, "b 3 f h w"]) -> UInt8[np.ndarray, "b f h w 3"]:
    """RGB in [-1, 1] to bytes; values outside are clipped."""
    return to_bytes(video).cpu().numpy()
