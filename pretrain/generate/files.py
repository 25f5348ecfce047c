"""From requests to files: frames go from the decoder to the file, and progress is told by frame and scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from videoar.pretrain.generate.pipeline import VideoPipeline
from videoar.pretrain.generate.prompts import Job
from videoar.pretrain.generate.writers import Kind, writer
from videoar.tokenizer.scales import ScaleSchedule, latent_frames


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch of videos is."""

    frame: int
    """Latent frames that are begun, from 1."""
    num_frames: int
    scale: int
    """Scales of that frame that are done."""
    num_scales: int

    @property
    def done(self) -> int:
        """Passes that are done, or that given frames made needless."""
        return (self.frame - 1) * self.num_scales + self.scale

    @property
    def total(self) -> int:
        """Passes of the whole batch."""
        return self.num_frames * self.num_scales


def total_passes(pipeline: VideoPipeline, batch: Sequence[Job]) -> int:
    """Frames times scales of a batch, whose videos advance together."""
    return _progress(pipeline, batch, 0, 0).total


def make(
    pipeline: VideoPipeline, batch: Sequence[Job], kind: Kind, on_progress: Callable[[Progress], None] | None = None
) -> None:
    """Make the videos of a batch, in memory that does not grow with their length."""
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


def _progress(pipeline: VideoPipeline, batch: Sequence[Job], frame: int, scale: int) -> Progress:
    request = batch[0].request
    scales = ScaleSchedule.named(pipeline.shape(request.schedule).schedule).num_scales
    return Progress(frame + 1, latent_frames(pipeline.num_frames(request)), scale + 1, scales)
