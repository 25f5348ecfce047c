"""Clips cut in one pass over a film, all or a few of them, compared with seeking each clip."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig, VariantConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeLimits, VideoDecoder
from videoar.data_pipeline.decoding.frame_sampling import clip_times, cover, nearest_frames
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

FPS = 25.0
GOP = 250
"""Frames from one key frame to the next: x264's own choice where no scene changes."""
HEIGHT, WIDTH = 720, 1280

CASES = {
    "adjacent": (ClipBucket(schedule="128x128", num_frames=17, fps=FPS), VariantConfig()),
    "two_windows": (ClipBucket(schedule="128x128", num_frames=17, fps=FPS), VariantConfig(windows=2)),
    "four_windows_at_8_fps": (ClipBucket(schedule="192x336", num_frames=17, fps=8.0), VariantConfig(windows=4)),
}
"""Name of each case: clips that follow each other at the film's frame rate, the same at two offsets, and clips of a
text-to-video shape at four offsets."""


LONG = 60
"""Number of copies of the film, one after the other, in the long film."""


def run(num_frames: int = 500, repeats: int = 5) -> dict[str, Any]:
    """Cut every clip of a plan in both ways alternately; report the best time of each. Both give the same pixels."""
    with tempfile.TemporaryDirectory(prefix="videoar-bench-") as folder, VideoDecoder(DecodeLimits()) as decoder:
        film = _film(Path(folder) / "short" / "film.mp4", num_frames)
        cases = {name: _compare(decoder, film, _cuts(film, *case), repeats) for name, case in CASES.items()}
        long = _end_to_end(film, Path(folder) / "long" / "film.mp4", LONG)
        every = _cuts(long, *CASES["adjacent"])
        few = [every[len(every) * sixth // 6] for sixth in (1, 3, 5)]
        cases["three_clips_of_a_long_film"] = _compare(decoder, long, few, repeats) | {"frames": num_frames * LONG}
    size = f"{HEIGHT}x{WIDTH}"
    return {"film": {"frames": num_frames, "size": size, "fps": FPS, "frames_between_key_frames": GOP}, **cases}


def _cuts(film: str, bucket: ClipBucket, variants: VariantConfig) -> list[ClipCut]:
    """The cuts of a film, as a plan lists them."""
    dataset = DatasetConfig(
        name="film", source=SourceConfig(path=str(Path(film).parent)), bucket=bucket, variants=variants
    )
    return [clip.cut for clip in plan_clips(dataset, DecodeLimits())[0]]


def _compare(decoder: VideoDecoder, film: str, cuts: Sequence[ClipCut], repeats: int) -> dict[str, Any]:
    decoder.probe(film)  # starts the process, which a job does once
    one_pass, sought = [], []
    for _ in range(repeats):
        seconds, first = _timed(lambda: [frames for _, frames in decoder.cut_all(film, cuts)])
        one_pass.append(seconds)
        seconds, second = _timed(lambda: _seek_all(film, cuts))
        sought.append(seconds)
    return {
        "clips": len(cuts),
        "one_pass_seconds": min(one_pass),
        "sought_seconds": min(sought),
        "speedup": min(sought) / min(one_pass),
        "same_pixels": all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)),
    }


def _film(path: Path, num_frames: int) -> str:
    """A panned picture with fine grain, which costs a decoder as much as a filmed one."""
    draws = np.random.default_rng(0)
    coarse = draws.integers(40, 200, (HEIGHT // 16, WIDTH // 16, 3)).repeat(16, axis=0).repeat(16, axis=1)
    still = np.clip(coarse + draws.normal(0, 12, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=int(FPS))
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.options = {"g": str(GOP), "sc_threshold": "0", "preset": "veryfast", "crf": "23"}
        for i in range(num_frames):
            grain = draws.integers(0, 8, (HEIGHT, WIDTH, 1), dtype=np.uint8)
            pixels = np.minimum(np.roll(still, -3 * i, axis=1), 247) + grain
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return str(path)


def _end_to_end(film: str, path: Path, times: int) -> str:
    """A film repeated `times` times: its packets, each time with later timestamps."""
    path.parent.mkdir()
    with av.open(film) as source, av.open(str(path), "w") as container:
        shown: Any = source.streams.video[0]
        stream = container.add_stream_from_template(shown)
        packets: list[tuple[int, int, Any]] = [
            (packet.pts, packet.dts, packet) for packet in source.demux(shown) if packet.dts is not None
        ]
        for later in range(0, times * shown.duration, shown.duration):
            for pts, dts, packet in packets:
                packet.stream, packet.time_base = stream, shown.time_base
                packet.pts, packet.dts = pts + later, dts + later
                container.mux(packet)
    return str(path)


def _seek_all(film: str, cuts: Sequence[ClipCut]) -> list[np.ndarray]:
    """Seek each clip, as loaders with random access do, in this process (no pipe) and with the file kept open."""
    resizer = VideoReformatter()
    with av.open(film) as container:
        container.streams.video[0].thread_type = "NONE"
        container.streams.video[0].codec_context.thread_count = 1
        return [_seek(container, cut, resizer) for cut in cuts]


def _seek(container: Any, cut: ClipCut, resizer: VideoReformatter) -> np.ndarray:
    """One clip: back to the key frame before it, and on to its end."""
    height, width = ScaleSchedule.named(cut.schedule).pixels
    place = cover(HEIGHT, WIDTH, height, width)
    times = clip_times(cut.start_s, cut.num_frames, cut.fps)
    found: list[np.ndarray] = []
    colours = Colorspace.ITU709 if HEIGHT >= 720 else Colorspace.ITU601
    stream = container.streams.video[0]
    container.seek(int(cut.start_s / stream.time_base), stream=stream)
    for _, frame in nearest_frames(((frame.time, frame) for frame in container.decode(stream)), times):
        picture = resizer.reformat(
            frame,
            width=place.width,
            height=place.height,
            format="rgb24",
            src_colorspace=colours,
            interpolation="BICUBIC",
        ).to_ndarray()
        found.append(picture[place.top : place.top + height, place.left : place.left + width])
    return np.stack(found)


def _timed(work: Callable[[], list[np.ndarray]]) -> tuple[float, list[np.ndarray]]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
