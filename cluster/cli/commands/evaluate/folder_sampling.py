"""What the commands that fill a folder with videos have in common: options of sampling, and the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from videoar.cluster.cli.output import warn
from videoar.cluster.ground.fields.limits import DrawingSeed, OneOrMore, PixelFrames, Temperature, TopP

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.made_videos.folder import Wanted
    from videoar.pretrain.generate import Request, VideoPipeline


@dataclass(frozen=True, kw_only=True)
class FolderSampling:
    """How the videos of a folder are made, and which of them."""

    part: Annotated[str | None, arg(metavar="N/COUNT")] = None
    """Make only this part of the videos, 1/COUNT to COUNT/COUNT."""
    num_frames: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """Pixel frames of a video, 1 + 4n; as in training if not given."""
    size: Annotated[str | None, arg(metavar="HxW")] = None
    """Frame size in pixels, one that the weights were trained on. If not given: that of the largest video in the last
    training stage."""
    guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """Strength of guidance, written as for `videoar generate`; the default of the weights if not given."""
    temperature: Temperature = 1.0
    """Divisor of the logits; 0 always takes the more likely value of a bit."""
    top_p: TopP = 1.0
    """A bit takes its more likely value if that has at least this probability; with 1, every bit is sampled."""
    seed: DrawingSeed = 0
    """Seed of the sampling. Each video gets its own seed, computed from this, its prompt or label, and its index."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 4
    """Number of videos that are made at once."""
    graphs: bool = False
    """On a GPU: record the forward passes of the first videos as CUDA graphs, which launch faster, and replay them for
    later videos with the same batch and text length. All labels have one length, prompts have many. Not run on a GPU
    yet."""


def make_folder(
    pipeline: VideoPipeline, options: FolderSampling, everything: Sequence[Wanted], out: Path, suite: str
) -> dict[str, Any]:
    """Make what the folder lacks of a part, with progress; what the command reports.

    `suite` begins the signature that OUT.json records.
    """
    from videoar.cluster.ground.processes.surroundings import explain_full_disk
    from videoar.pretrain.evaluate.made_videos.folder import claim_folder, in_part, list_signature
    from videoar.pretrain.evaluate.signature import sampling_signature, weights_signature

    wanted, sampled = in_part(everything, options.part), _sampled(pipeline, options)
    pipeline.check(wanted[0].request(sampled))
    how = sampling_signature(pipeline, options.temperature, options.top_p, options.guidance)
    shape = f"{sampled.schedule}|T{sampled.num_frames}"
    rest = f"{weights_signature(pipeline)}|{shape}|{how}|seed{options.seed}"

    def sign(videos: Sequence[Wanted]) -> str:
        return f"{suite}|{list_signature(videos)}|{rest}"

    with explain_full_disk(str(out)):
        claim_folder(out, everything, sign)
        _make(pipeline, wanted, sampled, out, options.batch)
    return {"videos": len(wanted), "of": len(everything), "out": str(out), "signature": sign(everything)}


def _sampled(pipeline: VideoPipeline, options: FolderSampling) -> Request:
    """How every video is made."""
    from videoar.pretrain.generate import Request

    shape = pipeline.shape(options.size)
    num_frames = options.num_frames or shape.num_frames
    if num_frames > shape.num_frames:
        warn(f"{num_frames} frames of {shape.schedule}: clips of training had at most {shape.num_frames}")
    return Request(
        num_frames=num_frames,
        long="sliding",
        schedule=shape.schedule,
        guidance=options.guidance,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
    )


def _make(pipeline: VideoPipeline, wanted: Sequence[Wanted], sampled: Request, out: Path, batch: int) -> None:
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.made_videos.folder import make_videos

    with ProgressLine("videos", len(wanted)) as progress:
        on_done = progress.counting("videos/s")
        for done in make_videos(pipeline, wanted, out, sampled, batch):
            on_done(done, len(wanted))
