"""What a file's header says about its video, checked by decoding the first frame."""

from __future__ import annotations

from typing import Any

import av

from videoar.data_pipeline.decoding.sandbox.demuxing import is_picture, read_packets
from videoar.data_pipeline.decoding.sandbox.film import Film, RefusedSource, check_size
from videoar.data_pipeline.decoding.sandbox.picture import shown_size
from videoar.data_pipeline.decoding.sandbox.timestamps import RESTARTING, Clock


def probe(container: Any, stream: Any, caps: dict[str, Any]) -> dict[str, Any]:
    """Size of the first frame as it is shown, frame rate and duration. RefusedSource if there is no frame."""
    check_size(stream.codec_context.height, stream.codec_context.width, caps)
    film = Film(container, stream, caps)
    first = next((frame for _, frame in film.frames() if frame is not None), None)
    if first is None:
        raise RefusedSource("holds no frame")
    height, width = shown_size(first, stream)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    duration = _duration_s(container, stream, film.start_s)
    if duration > caps["max_duration_s"]:
        raise RefusedSource(f"lasts {duration:.0f} s, more than the {caps['max_duration_s']:.0f} s accepted")
    return {
        "height": height,
        "width": width,
        "fps": rate,
        "duration_s": duration,
        "kinds": sorted(film.kinds),
        "is_image": is_picture(container),
    }


def _duration_s(container: Any, stream: Any, first_s: float) -> float:
    """How long the pictures last, from the first one on; 0 for an image.

    The duration in a stream's header is trusted. Without one, the last packets are read: Matroska's header also counts
    the sound and the time before the first picture. Transport and program streams are read to their end, because
    their clock may restart in the middle.
    """
    if is_picture(container):
        return 0.0
    if stream.duration is not None and container.format.name not in RESTARTING:
        return float(stream.duration * stream.time_base)
    if container.format.name not in RESTARTING and container.duration is not None:
        container.seek(int(container.duration / av.time_base / stream.time_base), stream=stream)
    clock, tick_s = Clock(), float(stream.time_base)
    start_s = end_s = clock.continued(first_s, 0.0)
    for packet in read_packets(container, stream):
        if packet is not None and packet.pts is not None:
            length_s = (packet.duration or 0) * tick_s
            end_s = max(end_s, clock.continued(packet.pts * tick_s, length_s) + length_s)
    return max(0.0, end_s - start_s)
