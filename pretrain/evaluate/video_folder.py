"""Videos of a folder as the clips of a protocol: which frames of which files, read by the sandboxed decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, VideoDecoder, reason_of
from videoar.data_pipeline.decoding.given import frame_times
from videoar.data_pipeline.sources.listing import list_sources
from videoar.pretrain.evaluate.fvd.protocol import Protocol

OnDone = Callable[[int, int], None]
"""Called with the number of finished items and the number of all items."""

OnLeftOut = Callable[[str, str], None]
"""Called with the name of a file that gives no clip, and with the reason."""


@dataclass(frozen=True, slots=True)
class FolderClip:
    """Some consecutive frames of a file."""

    path: str
    mark: str
    """Changes when the file changes."""
    start_s: float
    """Time of the first frame, in seconds from the first one of the file."""
    fps: float
    """Frames to take per second."""


def choose_clips(
    folder: Path,
    protocol: Protocol,
    decoder: VideoDecoder,
    *,
    captions: str = "",
    on_done: OnDone,
    on_left_out: OnLeftOut,
) -> list[FolderClip]:
    """Look at every video of a folder, and choose as the protocol says; `captions` is a table that names the files.

    InputError, whose field is `videos`, for fewer videos than the protocol needs.
    """
    sources, skipped = list_sources(SourceConfig(path=str(folder), captions=captions))
    for item in skipped:
        if item.is_input and item.kind != "filtered":  # texts that would be captions, and records of `generate`
            on_left_out(item.source, item.reason)
    films: list[_Film] = []
    for done, source in enumerate(sources):
        path = str(folder / source.path)
        try:
            probe = decoder.probe(path)
            fps = protocol.fps or probe.fps
            times = [] if probe.is_image else frame_times(probe, fps)
            if len(times) < protocol.frames:
                raise DecodeError(f"has fewer than {protocol.frames} frames")
            films.append(_Film(path, source.etag, fps, times))
        except DecodeError as error:
            on_left_out(source.path, reason_of(error, path))
        on_done(done + 1, len(sources))
    clips = []
    for number, index in enumerate(protocol.choose(len(films))):
        film = films[index]
        start = protocol.start(len(film.times), number)
        assert start is not None, "shorter films were left out"
        clips.append(FolderClip(film.path, film.mark, film.times[start], film.fps))
    return clips


@dataclass(frozen=True, slots=True)
class _Film:
    """A file that is long enough, with the times of its frames."""

    path: str
    mark: str
    fps: float
    times: list[float]


def read_clips(
    clips: Sequence[FolderClip], protocol: Protocol, decoder: VideoDecoder, on_left_out: OnLeftOut
) -> Iterator[UInt8[np.ndarray, "f h w 3"]]:
    """The frames of each clip, in the size of the protocol; ones that cannot be read are missing."""
    for clip in clips:
        cut = ClipCut(
            start_s=clip.start_s,
            num_frames=protocol.frames,
            fps=clip.fps,
            schedule=f"{protocol.height}x{protocol.width}",
            crop="stretch" if protocol.fit == "stretch" else "centre",
            resize=protocol.resize,
        )
        try:
            found = [frames for _, frames in decoder.cut_all(clip.path, [cut])]
        except DecodeError as error:
            on_left_out(clip.path, reason_of(error, clip.path))
            continue
        if found:
            yield found[0]
        else:
            on_left_out(clip.path, "ends before its header says, or is damaged")
