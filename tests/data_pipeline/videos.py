"""Real files for the tests, written with PyAV."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

CODECS = {"mp4": "libx264", "mkv": "libx264", "avi": "mpeg4", "ts": "libx264", "png": "png", "jpg": "mjpeg"}


def write_video(path: Path, num_frames: int = 50, fps: int = 25, size: tuple[int, int] = (48, 64)) -> Path:
    """Frame i is grey at level 4 i (mod 256), so that the number of a decoded frame is known."""
    height, width = size
    levels = [np.full((height, width, 3), 4 * i % 256, dtype=np.uint8) for i in range(num_frames)]
    return write_frames(path, levels, fps)


def write_frames(path: Path, frames: list[np.ndarray], fps: int = 25, crf: int = 4) -> Path:
    """A video (or, of one frame, an image) of the given pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix[1:]
    is_image = suffix in ("png", "jpg")
    with av.open(str(path), "w", format="image2" if is_image else None) as container:
        stream = container.add_stream(CODECS[suffix], rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = {"png": "rgb24", "jpg": "yuvj420p"}.get(suffix, "yuv420p")
        if suffix in ("mp4", "mkv", "ts"):
            stream.options = {"crf": str(crf), "preset": "ultrafast"}
        elif suffix == "avi":
            stream.options = {"qmin": "1", "qmax": "1"}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def frame_number(pixels: np.ndarray) -> int:
    """Which frame of `write_video` this is."""
    return round(float(pixels.mean()) / 4)


def picture(seed: int, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """Soft coloured blobs, different for every seed; opposite edges meet."""
    draws = np.random.default_rng(seed)
    rows, columns = np.arange(size[0])[:, None] / size[0], np.arange(size[1])[None] / size[1]
    pixels = np.full((*size, 3), 110.0)
    for _ in range(10):
        waves = draws.integers(1, 4, 2)
        phase = 2 * np.pi * (waves[0] * rows + waves[1] * columns * draws.choice([-1, 1]) + draws.random())
        pixels += np.sin(phase)[..., None] * draws.uniform(-30, 30, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def scene(seed: int, num_frames: int = 25, speed: float = 0.2, size: tuple[int, int] = (96, 128)) -> list[np.ndarray]:
    """A picture that moves to the left by `speed` short sides a second, at 25 frames a second."""
    still = picture(seed, size)
    return [np.roll(still, -round(i * speed * min(size) / 25), axis=1) for i in range(num_frames)]


def resized(frames: list[np.ndarray], size: tuple[int, int]) -> list[np.ndarray]:
    """The same frames at another size."""
    shape = {"height": size[0], "width": size[1], "format": "rgb24", "interpolation": "AREA"}
    return [av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(**shape).to_ndarray() for pixels in frames]
