"""`videoar generate`: video files from captions, labels, pictures or clips."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from videoar.cluster.cli.arguments import Weights, only_with, parse, typed_as
from videoar.cluster.cli.output import say, warn
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import (
    MAX_FRAMES,
    DrawingSeed,
    OneOrMore,
    PixelFrames,
    Seconds,
    Temperature,
    TopP,
    ZeroOrMore,
)
from videoar.cluster.ground.files import check_folder
from videoar.cluster.ground.processes.preemption import Preemption
from videoar.cluster.ground.progress import ProgressLine
from videoar.tokenizer.scales import FRAMES_PER_LATENT, pixel_frames

if TYPE_CHECKING:
    import torch

    from videoar.pretrain.generate import Request, VideoPipeline
    from videoar.pretrain.generate.files import Progress
    from videoar.pretrain.generate.prompts import Job
    from videoar.pretrain.generate.writers import Kind

_CLEAN_UP_S = 20.0
"""Seconds after a signal in which a half-written video has to be removed."""


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Make a video from a caption or a label, animate a picture, or continue a clip.

    `videoar generate WEIGHTS --prompt "a red square moves right" --out square.mp4`
    `videoar generate WEIGHTS --prompt "" --video clip.mp4 --num-frames 33 --out continued.mp4`
    `videoar generate WEIGHTS --prompt "a boat" --seconds 20 --long reencode --out boat.gif`
    `videoar generate WEIGHTS --prompts prompts.jsonl --batch 4 --out videos`

    The result has the size and frame rate of training. If a clip is continued, the result begins with the given frames
    of the clip, as the tokenizer reconstructs them. The path is printed on stdout; progress and time are on stderr.

    Exit codes: 0 done, 1 failed, 2 wrong input; with --prompts 75 if a signal stopped it (run it again).
    """

    weights: Weights
    """Folder that `videoar export` wrote, or `small-world`: weights that ship with the package."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """File to write, .mp4, .gif or .png (a sheet of at most 8 frames); one that exists is refused without --force.
    With --prompts, a folder, which gets 0000.mp4, 0001.mp4, ... If not given: video.mp4 (with the suffix of --format),
    or with --prompts the folder videos."""
    format: Literal["mp4", "gif", "png", "frames"] | None = None
    """Kind of output; `frames` fills a folder with a PNG file for each frame. If not given: chosen by the suffix of
    FILE; mp4 with --prompts."""
    prompt: Annotated[str | None, arg(metavar="TEXT")] = None
    """Caption, for weights trained on captions."""
    prompts: Annotated[Path | None, arg(metavar="FILE")] = None
    """File with a caption on each line, or .jsonl: on each line an object with `prompt` and, where it differs from the
    command's options, `negative_prompt`, `label`, `image`, `video`, `given_frames`, `num_frames`, `long`, `overlap`,
    `size`, `guidance`, `temperature`, `top_p` or `seed`. Existing videos are skipped: rerunning resumes."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 1
    """With --prompts: largest number of videos made at once; a batch has consecutive lines of the same size and
    length."""
    negative_prompt: Annotated[str | None, arg(metavar="TEXT")] = None
    """Text that guidance steers away from. If not given, it steers away from the prediction without text."""
    label: Annotated[ZeroOrMore | None, arg(metavar="N")] = None
    """Number of the class, for weights trained on labels."""
    text_encoder: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of the T5 encoder, for weights trained on its states; the folder used in training if not given."""
    image: Annotated[Path | None, arg(metavar="FILE")] = None
    """Picture to animate: it becomes the first frame."""
    video: Annotated[Path | None, arg(metavar="FILE")] = None
    """Clip to continue."""
    given_frames: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """How many of the clip's last pixel frames to continue from, 1 + 4n; half of the result if not given."""
    num_frames: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """Pixel frames of the result, 1 + 4n, including the given ones; as in training if not given."""
    seconds: Annotated[Seconds | None, arg(metavar="S")] = None
    """Duration of the result, rounded up to a length that the model can make; use it instead of --num-frames."""
    long: Literal["sliding", "reencode"] | None = None
    """How to make a video that is longer than in training: `sliding` lets the window of past frames move along;
    `reencode` makes shots of the trained length, each of which continues the last frames of the one before, decoded and
    encoded again (the paper's duration extension). If not given: sliding, with a warning."""
    overlap: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """With --long reencode: pixel frames that a shot continues, 1 + 4n; half of a shot if not given."""
    size: Annotated[str | None, arg(metavar="HxW")] = None
    """Frame size in pixels, one that the weights were trained on. If not given: that of the largest video in the last
    training stage."""
    guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """Strength of guidance: `t2v`, `ucf101`, a constant such as 3 (1 is off), or four corners such as 5,4,4,3. The
    default is that of the weights, which may have a different one for --video."""
    temperature: Temperature = 1.0
    """Divisor of the logits; 0 always takes the more likely value of a bit."""
    top_p: TopP = 1.0
    """A bit takes its more likely value if that has at least this probability; with 1, every bit is sampled."""
    seed: DrawingSeed = 0
    """Seed of the sampling: the same seed gives the same video on the same device. With --prompts, the seed of the
    first prompt; each further prompt adds 1."""
    dtype: Literal["float32", "bf16"] | None = None
    """What the model computes in; bf16 on a GPU and float32 on a CPU if not given."""
    graphs: bool = False
    """With --prompts on a GPU: record the forward passes of the first video as CUDA graphs, which launch faster, and
    replay them for later videos with the same size, length, batch and text length. Not run on a GPU yet."""
    force: bool = False
    """Replace existing output."""


def generate(words: Sequence[str], prog: str) -> int:
    options = parse(Generate, words, prog)
    _check_options(options)
    kind = _check_out(options)
    from videoar.pretrain.generate import VideoPipeline

    requests = _requests(options)
    pipeline = VideoPipeline.from_pretrained(
        options.weights, text_encoder=options.text_encoder, dtype=dtype_named(options.dtype), graphs=options.graphs
    )
    encoder = {"path": "text_encoder"} if options.text_encoder else {}
    with typed_as(schedule="size", **encoder), _stopped_to_resume(options):
        requests = _checked(options, requests, pipeline)
        _make(_jobs(options, requests, pipeline, kind), pipeline, kind, options)
    return 0


def _stopped_to_resume(options: Generate) -> AbstractContextManager[object]:
    """With a file of prompts, a signal ends the command with 75: rerunning it makes the missing videos."""
    return nullcontext() if options.prompts is None else Preemption(within_s=_CLEAN_UP_S)


def dtype_named(name: str | None) -> torch.dtype | None:
    """What --dtype names."""
    import torch

    return {None: None, "float32": torch.float32, "bf16": torch.bfloat16}[name]


def _requests(options: Generate) -> dict[int, Request]:
    """What is asked for, by the line of the file of prompts; without one, a single request."""
    from videoar.pretrain.generate import Request
    from videoar.pretrain.generate.prompts import read_prompts

    names = ("negative_prompt", "image", "video", "given_frames", "num_frames", "long", "overlap", "guidance")
    common: dict[str, Any] = {name: getattr(options, name) for name in (*names, "temperature", "top_p", "seed")}
    common["schedule"] = options.size
    if options.prompts is not None:
        return read_prompts(options.prompts, common)
    with typed_as(schedule="size"):
        return {1: Request(prompt=options.prompt, label=options.label, **common)}


def _jobs(options: Generate, requests: dict[int, Request], pipeline: VideoPipeline, kind: Kind) -> list[list[Job]]:
    """The videos that are still to be made, in batches."""
    from videoar.pretrain.generate.prompts import Job, batches, jobs

    if options.prompts is None:
        return [[Job(requests[1], _out(options))]]
    wanted, done = jobs(requests, _out(options), kind, _weights(pipeline), force=options.force)
    if done:
        warn(f"{done} of {len(requests)} videos exist already")
    return list(batches(wanted, options.batch))


def _weights(pipeline: VideoPipeline) -> dict[str, object]:
    """The facts by which the record of a video identifies its weights."""
    origin = pipeline.config.provenance
    return {name: asdict(origin)[name] for name in ("run", "recipe_hash", "step", "ema")}


def _make(planned: list[list[Job]], pipeline: VideoPipeline, kind: Kind, options: Generate) -> None:
    """Make one batch after another, with progress over all of them; then the paths, and how long it took."""
    from videoar.cluster.ground.processes.surroundings import explain_full_disk
    from videoar.pretrain.generate.files import made_of, make, total_passes
    from videoar.pretrain.generate.prompts import record

    passes, begun = [total_passes(pipeline, batch) for batch in planned], time.monotonic()
    made: list[Job] = []
    try:
        with ProgressLine("generate", sum(passes)) as line, explain_full_disk(str(_out(options))):
            for number, batch in enumerate(planned):
                for job in batch if options.prompts is not None else ():
                    record(job, _weights(pipeline))
                with _naming_the_line(batch) if options.prompts is not None else nullcontext():
                    make(pipeline, batch, kind, partial(_show, line, passes, number))
                made += batch
    finally:  # also those before an error; while the bar is shown, rich would send them to stderr
        for job in made:
            say(str(job.out))
    if made:
        warn(pipeline.tokenizer.warning)
        what = made_of(pipeline, made[0].request) if len(made) == 1 else f"{len(made)} videos"
        warn(f"{what}: took {time.monotonic() - begun:.1f} s")


@contextmanager
def _naming_the_line(batch: list[Job]) -> Iterator[None]:
    """A picture or clip that cannot be read is reported with the line that gives it."""
    from videoar.pretrain.generate.prompts import in_line

    try:
        yield
    except InputError as error:
        for job in batch:
            if error.value is not None and error.value in (job.request.image, job.request.video):
                assert job.line is not None
                with in_line(job.line):
                    raise
        raise


def _show(line: ProgressLine, passes: list[int], number: int, progress: Progress) -> None:
    """Which frame and scale, of which batch."""
    done, total = sum(passes[:number]) + progress.done, sum(passes)
    figures = progress.words + (f"  batch {number + 1}/{len(passes)}" if len(passes) > 1 else "")
    place = {"batch": number, "frame": progress.frame, "scale": progress.scale}
    line.show("generate", done, total, figures, {"task": "generate", "done": done, "total": total, **place})


def _checked(options: Generate, requests: dict[int, Request], pipeline: VideoPipeline) -> dict[int, Request]:
    """The requests with their lengths; InputError if the weights cannot make one of them, before any is made."""
    from videoar.pretrain.generate.prompts import in_line

    checked = {}
    for number, request in requests.items():
        with in_line(number) if options.prompts is not None else nullcontext():
            checked[number] = _with_length(request, options.seconds, pipeline)
            pipeline.check(checked[number])
    pipeline.remark(list(checked.values()))
    return checked


def _with_length(request: Request, seconds: float | None, pipeline: VideoPipeline) -> Request:
    """With a duration: the request with the frames that it has at the frame rate of its size."""
    if seconds is None or request.num_frames is not None:
        return request
    frames = seconds * pipeline.shape(request.schedule).fps
    if frames > MAX_FRAMES:
        longest = MAX_FRAMES / pipeline.shape(request.schedule).fps
        raise InputError("seconds", seconds, f"is more than {MAX_FRAMES} frames", f"use {longest:g} or less")
    return replace(request, num_frames=pixel_frames(1 + math.ceil(max(0.0, frames - 1) / FRAMES_PER_LATENT)))


def _check_options(options: Generate) -> None:
    """InputError for options that contradict each other, or have no effect."""
    if options.seconds is not None and options.num_frames is not None:
        raise InputError("seconds", options.seconds, "is given together with num_frames", "give one of them")
    for name in ("prompt", "label"):
        if options.prompts is not None and getattr(options, name) is not None:
            raise InputError(name, getattr(options, name), "is given together with prompts", "give one of them")
    if options.batch > 1:
        only_with(options, "prompts", "batch")


def _out(options: Generate) -> Path:
    """Where to write; if not given, a default name with the suffix of the format (a folder has none)."""
    from videoar.pretrain.generate.writers import ENDS

    if options.prompts is not None:
        return options.out or Path("videos")
    return options.out or Path(f"video{ENDS[options.format or 'mp4']}")


def _check_out(options: Generate) -> Kind:
    """The kind of output; refuses what cannot be written before a minute is spent on sampling."""
    from videoar.pretrain.generate.writers import check_output, kind_of

    out = _out(options)
    if options.prompts is not None:
        check_folder("out", out)
        return options.format or "mp4"
    if out.is_dir() and options.format != "frames":
        raise InputError("out", out, "is a folder", "name a file")
    kind = kind_of(out, options.format)
    check_output(out, kind, force=options.force)
    return kind
