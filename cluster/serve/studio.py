"""What is behind the page: a filled form becomes a request, which is made by one checkpoint after another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.errors import InputError, Stopped, StoreError
from videoar.cluster.ground.processes.surroundings import explained
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.generate.files import Progress, made_of, making
from videoar.pretrain.generate.prompts import Job

log = logging.getLogger(__name__)

Frame = UInt8[np.ndarray, "h w 3"]
OnProgress = Callable[[int, Progress], None]
"""Called with the number of the checkpoint, from 0, and how far its video is."""

UPLOADS = ("image", "video")
"""Fields of a request whose values are uploaded files."""
PROMPT_LETTERS = 2000
"""Longest accepted text; models read fewer tokens, and log that they cut it."""
KEPT = 200
"""Videos that the folder keeps; older ones are removed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Opened weights, and what the page calls them."""

    name: str
    pipeline: VideoPipeline


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows at one moment; each tuple has an element for each checkpoint."""

    line: str
    newest: tuple[Frame | None, ...]
    """The last frame so far; None before there is one."""
    videos: tuple[Path | None, ...]
    """The whole video; None while it is made."""


class Studio:
    """Makes videos with one checkpoint, or with two from the same request."""

    def __init__(self, checkpoints: Sequence[Checkpoint], folder: Path, max_frames: int) -> None:
        """Videos are written to `folder`. InputError for checkpoints that have no request in common."""
        self.checkpoints = tuple(checkpoints)
        self.sizes = _shared_sizes(self.checkpoints)
        self.asks_for = _condition(self.checkpoints)
        self._folder, self._max_frames = folder, max_frames

    def make(self, filled: Mapping[str, Any], on_progress: OnProgress) -> Iterator[Shown]:
        """What to show, from the first frame to the whole videos; or one line that says what is wrong with the form."""
        nothing = (None,) * len(self.checkpoints)
        try:
            request = request_of(filled)
            _check_length(request)
            for one in self.checkpoints:
                self._check(one.pipeline, request)
            yield from self._making(request, on_progress)
        except Exception as error:
            known = isinstance(error, InputError | StoreError | Stopped)
            line = error if known else explained(error)
            if line is None:
                raise  # a bug: its traceback is in the log, and the page keeps running
            yield Shown(polite(line), nothing, nothing)

    def _check(self, pipeline: VideoPipeline, request: Request) -> None:
        """InputError for what `videoar generate` refuses before it samples, and for more frames than are allowed."""
        pipeline.check(request)
        frames = pipeline.num_frames(request)
        if frames > self._max_frames:
            problem, remedy = "is more than this page makes", f"use {self._max_frames} or less"
            raise InputError("num_frames", frames, problem, remedy)

    def _making(self, request: Request, on_progress: OnProgress) -> Iterator[Shown]:
        count, begun = len(self.checkpoints), monotonic()
        shown = Shown("", (None,) * count, (None,) * count)
        for number, one in enumerate(self.checkpoints):
            job, name = Job(request, self._new_file()), f"{one.name}: " if count > 1 else ""
            for chunk in making(one.pipeline, [job], "mp4", partial(on_progress, number)):
                newest = _with(shown.newest, number, chunk[0, -1])
                shown = replace(shown, line=f"{name}being made", newest=newest)
                yield shown
            shown = replace(shown, videos=_with(shown.videos, number, job.out))
        pipeline = self.checkpoints[0].pipeline
        line = f"{made_of(pipeline, request)}: took {monotonic() - begun:.1f} s"
        log.info("%s", line)
        remark = pipeline.untrained(request)
        yield replace(shown, line=f"{line}. {remark}" if remark else line)

    def _new_file(self) -> Path:
        """The place of a new video; the oldest ones make room for it."""
        there = sorted(self._folder.glob("*.mp4"), key=lambda path: path.stat().st_mtime)
        for path in there[: max(0, len(there) - KEPT + 1)]:
            path.unlink(missing_ok=True)
        return self._folder / f"{uuid4().hex}.mp4"


def request_of(filled: Mapping[str, Any]) -> Request:
    """The request of a filled form; what is left empty is None, and an empty prompt is an empty caption.

    InputError as for the options of `videoar generate`.
    """
    given = {name: value for name, value in filled.items() if value not in (None, "") or name == "prompt"}
    return Request(**given)


def _check_length(request: Request) -> None:
    """InputError for a text that is too long; the form has this limit, too, but a request may come without the form."""
    for field in ("prompt", "negative_prompt"):
        if (letters := len(getattr(request, field) or "")) > PROMPT_LETTERS:
            raise InputError(field, f"{letters} letters", "is too long", f"use {PROMPT_LETTERS} or fewer")


def polite(error: Exception) -> str:
    """The line of an error, with the names that the page shows: `size`, and the name of an uploaded file without its
    folder."""
    if not isinstance(error, InputError):
        return str(error)
    field = "size" if error.field == "schedule" else error.field
    value = Path(str(error.value)).name if field in UPLOADS else error.value
    return str(InputError(field, value, error.problem, error.remedy))


def _with(values: tuple[Any, ...], number: int, value: Any) -> tuple[Any, ...]:
    return (*values[:number], value, *values[number + 1 :])


def _shared_sizes(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Frame sizes that every checkpoint was trained on, in the order of the first."""
    first, *others = ([shape.schedule for shape in one.pipeline.config.shapes] for one in checkpoints)
    shared = [size for size in dict.fromkeys(first) if all(size in sizes for sizes in others)]
    if not shared:
        problem = f"was trained on none of the frame sizes of the weights ({', '.join(first)})"
        raise InputError("compare", checkpoints[1].name, problem, "compare weights that share one")
    return shared


def _condition(checkpoints: Sequence[Checkpoint]) -> str:
    """`label` or `prompt`: what the checkpoints were trained on."""
    first, *others = ("label" if one.pipeline.config.model.text.kind == "label" else "prompt" for one in checkpoints)
    if any(other != first for other in others):
        problem = f"was trained on {others[0]}s, and the weights on {first}s"
        raise InputError("compare", checkpoints[1].name, problem, "compare weights of one kind")
    return first
