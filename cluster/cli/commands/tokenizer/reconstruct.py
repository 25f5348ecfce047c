"""`videoar tokenizer reconstruct`: write a video next to its reconstruction from bits."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import parse, typed_as
from videoar.cluster.cli.commands.tokenizer.weights import TokenizerName, device_of, open_weights
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import FramesPerSecond, Limits
from videoar.cluster.ground.files import check_folder, refuse_existing

if TYPE_CHECKING:
    import numpy as np
    import torch

    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.decoding.given import GivenFilm
    from videoar.tokenizer import VideoTokenizer
    from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """Encode a video to bits, decode it, and write both side by side: the original left, the reconstruction right.

    A video of any length is read, coded and written part by part, in memory that does not grow. For a picture, it
    writes a picture.
    """

    weights: TokenizerName
    """Folder that `videoar tokenizer train` (RUN/tokenizer) or `import` wrote; `demo` or `world`, which ship; or an
    untrained preset: paper, paper-light, paper-2d, infinity-d32, small or tiny."""
    video: Positional[Annotated[Path, arg(metavar="IN")]]
    """Video or picture file to read."""
    out: Positional[Annotated[Path, arg(metavar="OUT")]]
    """File to write: .mp4 for a video, .png for a picture; one that exists is refused without --force."""
    size: Annotated[str, arg(metavar="HxW")] = "128x128"
    """Frame size in pixels: the name of a scale schedule. Frames of other proportions are scaled until they cover it,
    and their middle is cut out."""
    start: Annotated[float, Limits(0, 1e6), arg(metavar="SECONDS")] = 0.0
    """Begin at this time of the video."""
    seconds: Annotated[float, Limits(0, 1e6, above=True), arg(metavar="SECONDS")] | None = None
    """Length to read; to the end if not given. Up to three frames are left out, so that 1 + 4n remain."""
    fps: FramesPerSecond = 8.0
    """Frames per second that the video is sampled at."""
    force: bool = False
    """Replace the file if it exists."""


def reconstruct(words: Sequence[str], prog: str) -> int:
    options = parse(Reconstruct, words, prog)
    refuse_existing("out", options.out, force=options.force)
    check_folder("out", options.out.parent)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.decoding.given import open_given
    from videoar.tokenizer.scales import ScaleSchedule

    with typed_as(schedule="size"):
        schedule = ScaleSchedule.named(options.size)
    with open_given(options.video, options.fps, start_s=options.start, seconds=options.seconds) as film:
        _check_suffix(options.out, film)
        tokenizer = open_weights(options.weights)
        _check_frames(tokenizer, options.video, film)
        with ProgressLine("reconstruct", len(film.ticks)) as progress:
            _write(_counted(_pairs(tokenizer, film, schedule), len(film.ticks), progress), film, options.out)
    say(str(options.out))
    return 0


def _check_suffix(out: Path, film: GivenFilm) -> None:
    wanted = ".png" if film.is_picture else ".mp4"
    if out.suffix.lower() != wanted:
        kind = "picture" if film.is_picture else "video"
        raise InputError("out", out, f"is not a name for a {kind}", f"name a {wanted} file")


def _check_frames(tokenizer: VideoTokenizer, video: Path, film: GivenFilm) -> None:
    """InputError, before the first frame is read, for a video given to an image tokenizer."""
    if tokenizer.config.temporal_kernel == 1 and len(film.ticks) > 1:
        problem = "is a video, which does not fit an image tokenizer"
        raise InputError("video", video, problem, "give a picture, or use a video tokenizer")


def _pairs(tokenizer: VideoTokenizer, film: GivenFilm, schedule: ScaleSchedule) -> Iterator[np.ndarray]:
    """Each frame next to its reconstruction; only the frames that are being coded are held in memory."""
    import numpy as np

    from videoar.pretrain.generate.video import to_frames, to_tensor
    from videoar.tokenizer.evaluation.evaluate import reconstruct as through_bits

    waiting: deque[np.ndarray] = deque()

    def read() -> Iterator[torch.Tensor]:
        for part in film.parts(schedule.name):
            waiting.extend(part)
            yield to_tensor(part).to(device_of(tokenizer))

    for decoded in through_bits(tokenizer, read(), schedule):
        for rebuilt in to_frames(decoded)[0]:
            yield np.concatenate([waiting.popleft(), rebuilt], axis=1)


def _counted(frames: Iterator[np.ndarray], total: int, progress: ProgressLine) -> Iterator[np.ndarray]:
    """The same frames; shows how many there were, and how fast they come."""
    began = time.monotonic()
    for done, frame in enumerate(frames, start=1):
        progress(done, total, {"frames/s": round(done / (time.monotonic() - began), 1)})
        yield frame


def _write(frames: Iterator[np.ndarray], film: GivenFilm, out: Path) -> None:
    from videoar.data_pipeline.decoding.client import DecodeError
    from videoar.data_pipeline.encoding.pictures import save_png
    from videoar.pretrain.generate.video import save_mp4

    first = next(frames, None)
    if first is None:
        raise DecodeError("it holds no frame that can be shown")
    if film.is_picture:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_png(first, out)
    else:
        save_mp4(itertools.chain([first], frames), out, film.fps)
