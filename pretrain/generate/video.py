"""Videos as output (frames in memory, MP4 on disk), and pictures and clips as input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import written_aside
from videoar.tokenizer.pixels import from_bytes, to_bytes


@dataclass(frozen=True, slots=True)
class Video:
    """Frames of RGB in time order."""

    frames: UInt8[np.ndarray, "f h w 3"]
    fps: float

    def save(self, path: str | Path) -> Path:
        """Write an MP4 (H.264, yuv420p) that any player opens; returns its path."""
        return save_mp4(self.frames, path, self.fps)


def save_mp4(frames: Iterable[UInt8[np.ndarray, "h w 3"]], path: str | Path, fps: float) -> Path:
    """Write frames as they come; the file appears when it is complete, and replaces one of the same name.

    An odd height or width gains one repeated row or column: yuv420p halves both.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "faststart"}
    with written_aside(path) as aside, av.open(str(aside), "w", format="mp4", options=options) as container:
        stream = None
        for frame in frames:
            frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
            if stream is None:
                rate = Fraction(fps).limit_denominator(1001)
                stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
                stream.height, stream.width, stream.pix_fmt = frame.shape[0], frame.shape[1], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        assert stream is not None, "a video has at least one frame"
        container.mux(stream.encode())
    return path


def read_video(
    path: str | Path, fps: float, max_frames: int | None = None, *, field: str = "video"
) -> UInt8[np.ndarray, "f h w 3"]:
    """The file's first video stream, sampled at the nearest frame at or before each tick of 1/fps seconds.

    A picture file is a video of one frame. At most `max_frames` are kept, the LAST ones: a continuation starts at
    the end. `field` names the file in messages.
    """
    kept: list[np.ndarray] = []
    try:
        with av.open(str(path)) as container:
            for frame in _resample(container.decode(video=0), fps):
                kept.append(frame)
                if max_frames is not None and len(kept) > max_frames:
                    kept.pop(0)
    except (OSError, av.FFmpegError, IndexError) as error:
        raise InputError(field, path, f"cannot be read ({error})", "give a video or picture file") from error
    if not kept:
        raise InputError(field, path, "has no frame", "give a video or picture file")
    return np.stack(kept)


def _resample(frames: Iterable[av.VideoFrame], fps: float) -> Iterator[np.ndarray]:
    """RGB arrays at a constant rate: each tick takes the last frame that has begun."""
    start: float | None = None
    previous: av.VideoFrame | None = None
    tick = 0
    for frame in frames:
        time = frame.time if frame.time is not None else 0.0
        start = time if start is None else start
        while previous is not None and tick / fps < time - start - 1e-6:
            yield previous.to_ndarray(format="rgb24")
            tick += 1
        previous = frame
    if previous is not None:
        yield previous.to_ndarray(format="rgb24")


def fit(frames: UInt8[np.ndarray, "f h w 3"], height: int, width: int) -> UInt8[np.ndarray, "f height width 3"]:
    """Resize to cover height x width (antialiased bilinear), then crop at the centre; unchanged if it has this size."""
    if frames.shape[1:3] == (height, width):
        return frames
    scale = max(height / frames.shape[1], width / frames.shape[2])
    size = max(height, round(frames.shape[1] * scale)), max(width, round(frames.shape[2] * scale))
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    covered = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    cropped = covered[:, :, top : top + height, left : left + width]
    return cropped.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def to_tensor(frames: UInt8[np.ndarray, "f h w 3"]) -> Float32[Tensor, "1 3 f h w"]:
    """Bytes to RGB in [-1, 1], the tokenizer's input."""
    return from_bytes(torch.from_numpy(np.ascontiguousarray(frames))[None])


def to_frames(video: Float32[Tensor, "b 3 f h w"]) -> UInt8[np.ndarray, "b f h w 3"]:
    """RGB in [-1, 1] to bytes; values outside are clipped."""
    return to_bytes(video).cpu().numpy()
