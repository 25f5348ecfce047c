"""What a file's header says about its video, checked by decoding the first frame."""

from __future__ import annotations

from typing import Any

import av

from videoar.data_pipeline.decoding.sandbox.film import Film, RefusedSource, check_size
from videoar.data_pipeline.decoding.sandbox.picture import shown_size


def probe(container: Any, stream: Any, caps: dict[str, Any]) -> dict[str, Any]:
    """Size of the first frame as it is shown, frame rate and duration. RefusedSource if there is no frame."""
    check_size(stream.codec_context.height, stream.codec_context.width, caps)
    film = Film(container, stream, caps)
    first = next(film.frames(), None)
    if first is None:
        raise RefusedSource("holds no frame")
    height, width = shown_size(first[1], stream)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    duration = _duration_s(container, stream)
    if duration > caps["max_duration_s"]:
        raise RefusedSource(f"lasts {duration:.0f} s, more than the {caps['max_duration_s']:.0f} s accepted")
    return {"height": height, "width": width, "fps": rate, "duration_s": duration, "kinds": sorted(film.kinds)}


def _duration_s(container: Any, stream: Any) -> float:
    """Duration of the video stream, else of the container, else from the packets' timestamps; 0 for an image."""
    if container.format.name.endswith("_pipe"):
        return 0.0
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration / av.time_base)
    ends = [float(p.pts + (p.duration or 0)) for p in container.demux(stream) if p.pts is not None]
    return (max(ends) - float(stream.start_time or 0)) * float(stream.time_base) if ends else 0.0
