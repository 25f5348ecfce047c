"""Kinds of output: MP4, GIF, a sheet of frames, and a folder of pictures. All are written frame by frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder, filled_folder, refuse_existing, written_aside
from videoar.data_pipeline.encoding.pictures import COLUMNS, contact_sheet, save_png, spread
from videoar.pretrain.generate.video import AddFrame, mp4_writer

Kind = Literal["mp4", "gif", "png", "frames"]
ENDS: dict[Kind, str] = {"mp4": ".mp4", "gif": ".gif", "png": ".png", "frames": ""}
_PICTURE = "[0-9]" * 5 + ".png"


def writer(path: Path, kind: Kind, fps: float, num_frames: int) -> AbstractContextManager[AddFrame]:
    """A context that yields what appends frames of a video; the output appears after it, when it is complete."""
    if kind == "mp4":
        return mp4_writer(path, fps)
    if kind == "gif":
        return gif_writer(path, fps)
    return sheet_writer(path, num_frames) if kind == "png" else pictures_writer(path)


def kind_of(path: Path, kind: Kind | None) -> Kind:
    """The kind of output that a name asks for; InputError if it asks for no kind, or for another one than `kind`."""
    by_end: Kind | None = next((one for one, end in ENDS.items() if end and path.suffix.lower() == end), None)
    if kind is not None and kind == (by_end or "frames"):
        return kind
    if kind is not None:
        remedy = f"let it end in {ENDS[kind]}" if ENDS[kind] else "name a folder"
        raise InputError("out", path, f"is not the name of output of format {kind}", remedy)
    if by_end is None:
        remedy = "let it end in .mp4, .gif or .png; --format frames fills a folder with pictures"
        raise InputError("out", path, "is not the name of a video file", remedy)
    return by_end


def check_output(path: Path, kind: Kind, *, force: bool) -> None:
    """InputError for output that cannot be written, before anything is generated."""
    if kind != "frames":
        refuse_existing("out", path, force=force)
    elif path.exists() and (not force or strangers(path)):
        problem = f"holds {strangers(path)[0]}" if strangers(path) else "exists"
        remedy = "name another folder" + ("" if strangers(path) else ", or add --force to replace its pictures")
        raise InputError("out", path, problem, remedy)
    check_folder("out", path.parent)


def strangers(folder: Path) -> list[str]:
    """Names in a folder of pictures that do not belong to numbered pictures."""
    if not folder.is_dir():
        return [folder.name]
    return sorted(path.name for path in folder.iterdir() if not path.match(_PICTURE))


def remove(path: Path) -> None:
    """Remove an output, if it is there: a file, or the numbered pictures of a folder, where other files stay."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for picture in path.glob(_PICTURE):
        picture.unlink()
    with suppress(OSError):  # is not empty
        path.rmdir()


@contextmanager
def gif_writer(path: Path, fps: float) -> Iterator[AddFrame]:
    """Yields what appends frames to a GIF that loops; each frame has its own 256 colours. Times are rounded to 10
    ms."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate, times = Fraction(fps).limit_denominator(1001), itertools.count()
    with written_aside(path) as aside, av.open(str(aside), "w", format="gif") as container:
        stream: Any = container.add_stream("gif", rate=rate)
        colours: Any = None

        def mux() -> None:
            while (picture := _pulled(colours)) is not None:
                picture.pts = None
                container.mux(stream.encode(picture))

        def add(frame: UInt8[np.ndarray, "h w 3"]) -> None:
            nonlocal colours
            if colours is None:
                stream.height, stream.width, stream.pix_fmt = frame.shape[0], frame.shape[1], "pal8"
                colours = _colours(frame.shape[0], frame.shape[1], rate)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = next(times), 1 / rate
            colours.push(picture)
            mux()

        yield add
        assert colours is not None, "a video has at least one frame"
        colours.push(None)
        mux()
        container.mux(stream.encode())


def _colours(height: int, width: int, rate: Fraction) -> Any:
    """A graph of filters that reduces each frame to the 256 colours that suit it."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate)
    copies, palette = graph.add("split"), graph.add("palettegen", "stats_mode=single")
    use, sink = graph.add("paletteuse", "new=1"), graph.add("buffersink")
    for one, output, other, place in (
        (source, 0, copies, 0), (copies, 0, palette, 0), (copies, 1, use, 0), (palette, 0, use, 1), (use, 0, sink, 0),
    ):  # fmt: skip
        one.link_to(other, output, place)
    graph.configure()
    return graph


def _pulled(graph: Any) -> Any:
    """The next frame of a graph; None if there is none yet, or no more."""
    try:
        return graph.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None


@contextmanager
def sheet_writer(path: Path, num_frames: int) -> Iterator[AddFrame]:
    """Yields what makes one picture of at most 8 frames, evenly spaced from first to last; one frame is the picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wanted, kept, times = set(spread(num_frames, COLUMNS)), [], itertools.count()

    def add(frame: UInt8[np.ndarray, "h w 3"]) -> None:
        if next(times) in wanted:
            kept.append(frame)

    yield add
    save_png(kept[0] if num_frames == 1 else contact_sheet([np.stack(kept)]), path)


@contextmanager
def pictures_writer(folder: Path) -> Iterator[AddFrame]:
    """Yields what fills a folder with 00000.png, 00001.png, ...; the pictures of an earlier video there are
    replaced."""
    former = [path.name for path in folder.glob(_PICTURE)]
    times = itertools.count()
    with filled_folder(folder, former, last="") as writing:

        def add(frame: UInt8[np.ndarray, "h w 3"]) -> None:
            save_png(np.ascontiguousarray(frame), writing / f"{next(times):05d}.png")

        yield add
