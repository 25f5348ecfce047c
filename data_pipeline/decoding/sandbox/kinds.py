"""Detects frames of special kinds (`PictureConfig`) and converts them: wide gamut, transparent, interlaced."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from av import VideoFormat, VideoFrame
from av.error import BlockingIOError as NeedsMore
from av.error import EOFError as NoMore
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter

from videoar.data_pipeline.decoding.sandbox.colour_profile import to_srgb
from videoar.data_pipeline.decoding.sandbox.timestamps import Missing

_HDR = {ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67}
_WIDE = {ColorPrimaries.BT2020, ColorPrimaries.SMPTE431, ColorPrimaries.SMPTE432}
TO_BT709 = {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}
"""Options with which swscale converts and tone-maps."""


def kinds_of(frame: Any) -> tuple[str, ...]:
    """The names of `PictureConfig`'s fields that decide about a frame."""
    is_hdr = frame.color_trc in _HDR
    found = {
        "hdr": is_hdr,
        "wide_gamut": (frame.color_primaries in _WIDE and not is_hdr) or to_srgb(frame) is not None,
        "alpha": has_alpha(frame),
        "interlaced": frame.interlaced_frame,
    }
    return tuple(name for name, applies in found.items() if applies)


def has_alpha(frame: Any) -> bool:
    """Whether pixels may be transparent."""
    return _format_has_alpha(frame.format.name)


@functools.cache
def _format_has_alpha(name: str) -> bool:
    form = VideoFormat(name)
    return form.has_palette or any(component.is_alpha for component in form.components)


def on_ground(frame: Any, grey: int) -> VideoFrame:
    """The frame in RGB, blended onto a plain ground before it is resized, which would mix in hidden colours."""
    pixels = VideoReformatter().reformat(frame, format="rgba").to_ndarray().astype(np.uint16)
    alpha = pixels[..., 3:]
    mixed = (pixels[..., :3] * alpha + grey * (255 - alpha) + 127) // 255
    return VideoFrame.from_ndarray(mixed.astype(np.uint8), format="rgb24")


def is_wide(frame: Any) -> bool:
    """Whether a frame has more colours or brightness than BT.709."""
    return frame.color_trc in _HDR or frame.color_primaries in _WIDE


def deinterlaced(frames: Iterator[Any], stream: Any) -> Iterator[Any]:
    """The same frames; from the first interlaced one on, interlaced frames are deinterlaced."""
    is_after_gap = False
    for frame in frames:
        if isinstance(frame, Missing):
            is_after_gap = True
        elif frame.interlaced_frame:
            yield from _filtered(itertools.chain([frame], frames), stream, is_after_gap)
            return
        yield frame


def _filtered(frames: Iterator[Any], stream: Any, is_after_gap: bool) -> Iterator[Any]:
    """Deinterlaced frames. The filter uses both neighbours: next to a gap, results would be wrong and are dropped."""
    graph: Graph | None = None
    for frame in itertools.chain(frames, [None]):
        is_missing = isinstance(frame, Missing)
        if frame is not None and not is_missing:
            graph = graph or _bwdif(stream)
        if graph is not None:
            graph.push(None if is_missing else frame)
            ready = list(_ready(graph, stream.time_base))
            for index, done in enumerate(ready):
                is_lost = is_after_gap or (is_missing and index == len(ready) - 1)
                is_after_gap = False
                yield Missing(done.pts, done.time_base) if is_lost else done
        if is_missing:
            graph, is_after_gap = None, True
            yield frame


def _bwdif(stream: Any) -> Graph:
    graph = Graph()
    source, sink = graph.add_buffer(template=stream), graph.add("buffersink")
    filtered = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    source.link_to(filtered)
    filtered.link_to(sink)
    graph.configure()
    return graph


def _ready(graph: Graph, time_base: Fraction) -> Iterator[Any]:
    """The frames that a filter has finished, in the stream's own time base: bwdif counts in fields."""
    while True:
        try:
            frame: Any = graph.pull()
        except (NeedsMore, NoMore):
            return
        if frame.pts is not None:
            frame.pts = round(frame.pts * frame.time_base / time_base)
        frame.time_base = time_base
        yield frame
