"""From requests to files: frames go from the decoder to the file, and progress is reported by frame and scale."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from videoar.pretrain.generate.background import Frames
from videoar.pretrain.generate.pipeline import VideoPipeline
from videoar.pretrain.generate.prompts import Job
from videoar.pretrain.generate.request import Request
from videoar.pretrain.generate.writers import Kind, writer
from videoar.tokenizer.scales import ScaleSchedule, latent_frames


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch of videos is."""

    frame: int
    """Number of latent frames that have been started, at least 1."""
    num_frames: int
    scale: int
    """Scales of that frame that are done."""
    num_scales: int

    @property
    def done(self) -> int:
        """Passes that are done, or that are not needed because of given frames."""
        return (self.frame - 1) * self.num_scales + self.scale

    @property
    def total(self) -> int:
        """Passes of the whole batch."""
        return self.num_frames * self.num_scales

    @property
    def words(self) -> str:
        """The frame and the scale as text, for messages."""
        return f"frame {self.frame}/{self.num_frames}  scale {self.scale}/{self.num_scales}"


OnProgress = Callable[[Progress], None]


def total_passes(pipeline: VideoPipeline, batch: Sequence[Job]) -> int:
    """Frames times scales of a batch, whose videos advance together."""
    return _progress(pipeline, batch, 0, 0).total


def made_of(pipeline: VideoPipeline, request: Request) -> str:
    """How many frames of which size a request asks for, and how long they play."""
    shape, frames = pipeline.shape(request.schedule), pipeline.num_frames(request)
    duration = f", {frames / shape.fps:.3g} s of video" if frames > 1 else ""
    return f"{frames} frame{'s' * (frames > 1)} of {shape.schedule}{duration}"


def make(pipeline: VideoPipeline, batch: Sequence[Job], kind: Kind, on_progress: OnProgress | None = None) -> None:
    """Make the videos of a batch, in memory that does not grow with their length."""
    deque(making(pipeline, batch, kind, on_progress), maxlen=0)


def making(
    pipeline: VideoPipeline, batch: Sequence[Job], kind: Kind, on_progress: OnProgress | None = None
) -> Iterator[Frames]:
    """Yield the frames of a batch as they are written; the files appear after the last ones."""
    requests = [job.request for job in batch]
    fps, num_frames = pipeline.shape(requests[0].schedule).fps, pipeline.num_frames(requests[0])

    def on_scale(frame: int, scale: int) -> None:
        if on_progress is not None:
            on_progress(_progress(pipeline, batch, frame, scale))

    with ExitStack() as files:
        adds = [files.enter_context(writer(job.out, kind, fps, num_frames)) for job in batch]
        for chunk in pipeline.chunks(requests, on_scale):
            for add, frames in zip(adds, chunk, strict=True):
                for one in frames:
                    add(one)
            yield chunk


def _progress(pipeline: VideoPipeline, batch: Sequence[Job], frame: int, scale: int) -> Progress:
    request = batch[0].request
    scales = ScaleSchedule.named(pipeline.shape(request.schedule).schedule).num_scales
    return Progress(frame + 1, latent_frames(pipeline.num_frames(request)), scale + 1, scales)
