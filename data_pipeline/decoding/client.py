"""Decoding in a subprocess that may crash or hang: the owner's side. A bad source gives a reason, never a hang."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import CropPlace
from videoar.data_pipeline.config.pictures import GROUNDS, PictureConfig
from videoar.data_pipeline.decoding.frame_sampling import Resize
from videoar.data_pipeline.decoding.sandbox.main import LENGTH, WITH_ONE_MESSAGE
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

_PIPE_BYTES = 1 << 20


class DecodeError(Exception):
    """A source cannot be decoded; the message is the reason that is recorded."""


def reason_of(error: DecodeError, path: str) -> str:
    """Why the file at `path` (empty: none was opened) cannot be decoded. Reasons are counted: the path in each would
    make them all different."""
    return str(error).replace(f"file:{path}", "the file").replace(path, "the file") if path else str(error)


class DecoderDied(DecodeError):
    """The decoder died while it decoded: because of the source, or because something else ended the process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeLimits:
    """Limits on decoding one source."""

    wall_s: float = 120.0
    """Seconds that the owner waits for the decoder on one request, in total."""
    memory_bytes: int = 4 << 30
    """Address space of the decoder."""
    max_pixels: int = 1 << 27
    """Maximum number of pixels of one frame."""
    max_frames: int = 1_000_000
    """Maximum number of frames of one source."""
    max_duration_s: float = 6 * 3600.0
    """Longest source that is accepted."""
    max_bytes: int = 64 << 30
    """Largest source that is downloaded, or copied out of a tar, before it is opened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What a container says about its first video stream, and how its first frame is shown."""

    height: int
    """Height in square pixels, upright."""
    width: int
    """Width in square pixels, upright."""
    fps: float
    """Frames per second; 0 if the container does not state it."""
    duration_s: float
    """Seconds; 0 for an image."""
    is_image: bool = False
    """Whether it is a picture, whatever its name says."""
    kinds: tuple[str, ...] = ()
    """Special kinds of its first frames: names of fields of `PictureConfig`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipCut:
    """Which frames of a source make up a clip, and the shape that they are fitted to."""

    start_s: float
    """Time of the first frame."""
    num_frames: int
    """Frames of the clip."""
    fps: float
    """Frames taken per second of the source's time."""
    schedule: str
    """Name of the scale schedule: its pixels are the clip's height and width."""
    crop: CropPlace | Literal["stretch"] | tuple[float, float] = "centre"
    """Part of the frame that is kept if the aspect ratios differ; or its offset (down, right), as fractions of what is
    cut off; or `stretch`, which keeps the whole frame but not its aspect ratio."""
    zoom: float = 1.0
    """Scale of the frame before it is cropped, relative to the smallest size that covers the clip."""
    resize: Resize = "bicubic"
    """Filter for resizing: FFmpeg's `bicubic`, which training uses, or `lanczos`, both with antialiasing when a frame
    shrinks; or `bilinear` from the four nearest pixels without antialiasing, as in PyTorch and TensorFlow."""


class VideoDecoder:
    """Owns one subprocess, started when it is first needed, and again after it had to be stopped.

    The subprocess reads with PyAV. While it cuts a film, one thread decodes ahead and another resizes.
    """

    def __init__(self, limits: DecodeLimits, pictures: PictureConfig = PictureConfig()) -> None:  # noqa: B008  # frozen
        self._limits, self._pictures = limits, pictures
        self._process: subprocess.Popen[bytes] | None = None
        self._selector = selectors.DefaultSelector()

    def probe(self, path: str) -> Probe:
        """Size, rate and duration of a local file."""
        answers = [message for message, _ in self._ask({"kind": "probe", "path": path})]
        assert len(answers) == 1, "a probe has one answer"
        facts = {name: answers[0][name] for name in Probe.__slots__}
        return Probe(**{**facts, "kinds": tuple(facts["kinds"])})

    def cut(
        self, path: str, starts_s: Sequence[float], bucket: ClipBucket
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "f h w 3"]]]:
        """(index of the start, frames) of clips of one shape; see `cut_all`."""
        cuts = [
            ClipCut(start_s=start_s, num_frames=bucket.num_frames, fps=bucket.fps, schedule=bucket.schedule)
            for start_s in starts_s
        ]
        yield from self.cut_all(path, cuts)

    def cut_all(
        self, path: str, cuts: Sequence[ClipCut], on_damaged: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "f h w 3"]]]:
        """(index of the cut, frames) of the clips of a local file, in order of their ends, from one pass.

        DecodeError ends it early; clips already yielded are valid. A clip that ends after the source is left out. So is
        a clip with a damaged frame, for which `on_damaged(index)` is called.
        """
        shapes = [(cut.num_frames, *ScaleSchedule.named(cut.schedule).pixels, 3) for cut in cuts]
        wanted = [
            {"start_s": cut.start_s, "num_frames": cut.num_frames, "fps": cut.fps, "crop": cut.crop}
            | {"height": shape[1], "width": shape[2], "zoom": cut.zoom, "resize": cut.resize}
            for cut, shape in zip(cuts, shapes, strict=True)
        ]
        for message, pixels in self._ask({"kind": "cut", "path": path, "cuts": wanted}):
            if message["kind"] == "damaged":
                (on_damaged or (lambda index: None))(message["clip"])
                continue
            yield message["clip"], np.frombuffer(pixels, dtype=np.uint8).reshape(shapes[message["clip"]])

    def scan(self, path: str, *, start_s: float, end_s: float, every_s: float, **looks: object) -> dict[str, Any]:
        """What a Scanner(**looks) finds in part of a local file, in frames at least every_s apart."""
        request = {"kind": "scan", "path": path, "start_s": start_s, "every_s": every_s, "looks": looks}
        answers = [found for found, _ in self._ask({**request, "end_s": min(end_s, self._limits.max_duration_s)})]
        assert len(answers) == 1, "a scan has one answer"
        return answers[0]

    def close(self) -> None:
        """Stop the subprocess."""
        if self._process is not None:
            self._selector.unregister(self._out)
            self._process.kill()
            with contextlib.suppress(BrokenPipeError):
                self._in.close()
            self._out.close()
            self._process.wait()
            self._process = None

    def __enter__(self) -> VideoDecoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _in(self) -> Any:
        assert self._process is not None
        return self._process.stdin

    @property
    def _out(self) -> Any:
        assert self._process is not None
        return self._process.stdout

    def _ask(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytearray]]:
        """The messages that answer a request.

        A consumer that stops early stops the process too: the rest of the answer would be read as the next one.
        """
        self._start()
        is_whole = False
        try:
            self._write(request)
            clock = _Clock(self._limits.wall_s)
            while True:
                message, pixels = self._receive(clock)
                if message["kind"] in ("done", "error"):
                    is_whole = True
                    if message["kind"] == "error":
                        raise DecodeError(message["reason"])
                    return
                is_whole = message["kind"] in WITH_ONE_MESSAGE
                yield message, pixels
                if is_whole:
                    return
        finally:
            if not is_whole:
                self.close()

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        # The child inherits no environment variable (they may hold credentials); it finds modules where we do.
        environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "videoar.data_pipeline.decoding.sandbox.main", str(self._limits.memory_bytes)]
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        os.set_blocking(self._out.fileno(), False)
        with contextlib.suppress(OSError):  # a larger pipe saves wake-ups; the system may refuse it
            fcntl.fcntl(self._out.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._selector.register(self._out, selectors.EVENT_READ)

    def _write(self, request: dict[str, Any]) -> None:
        limits = self._limits
        caps = {
            "max_pixels": limits.max_pixels,
            "max_frames": limits.max_frames,
            "max_duration_s": limits.max_duration_s,
            "cpu_s": int(limits.wall_s) + 1,
            "stream": self._pictures.stream,
            "ground": GROUNDS.get(self._pictures.alpha, 255),
        }
        try:
            self._in.write(json.dumps({**request, **caps}).encode() + b"\n")
        except BrokenPipeError as error:
            raise self._died() from error

    def _receive(self, clock: _Clock) -> tuple[dict[str, Any], bytearray]:
        (length,) = LENGTH.unpack(self._read(LENGTH.size, clock))
        message = json.loads(self._read(length, clock))
        return message, self._read(message["size_bytes"], clock)

    def _read(self, size: int, clock: _Clock) -> bytearray:
        """Exactly `size` bytes; only time spent waiting for the decoder counts against its limit."""
        buffer = bytearray(size)
        view, filled = memoryview(buffer), 0
        while filled < size:
            try:
                count = os.readv(self._out.fileno(), [view[filled:]])
            except BlockingIOError:
                if not clock.wait(self._selector):
                    raise DecodeError(f"took longer than {self._limits.wall_s:g} s and was stopped") from None
                continue
            if not count:
                raise self._died()
            filled += count
        return buffer

    def _died(self) -> DecoderDied:
        assert self._process is not None
        code = self._process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return DecoderDied(f"the decoder died of {how}")


class _Clock:
    """Wall time that is left; it runs only while the owner waits."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds

    def wait(self, selector: selectors.BaseSelector) -> bool:
        """True when there is something to read; False when the time is up."""
        before = time.monotonic()
        ready = selector.select(max(0.0, self._left_s))
        self._left_s -= time.monotonic() - before
        return bool(ready)


def limits(config: DataConfig) -> DecodeLimits:
    """What decoding one source may cost, as configured."""
    return DecodeLimits(
        wall_s=config.decode_timeout_s, max_pixels=config.decode_max_pixels, max_bytes=config.max_source_bytes
    )
