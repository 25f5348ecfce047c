"""`videoar evaluate vbench-export`: the folder of videos that VBench's tool reads."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import OutFolder, Weights, parse, typed_as
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder
from videoar.cluster.ground.limits import DrawingSeed, OneOrMore, PixelFrames, Temperature, TopP

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.vbench_videos import WantedVideo
    from videoar.pretrain.generate import Request, VideoPipeline


@dataclass(frozen=True, kw_only=True)
class VbenchExport:
    """Make the videos of VBench's prompts, in a folder that its tool reads: `{prompt}-{index}.mp4`.

    Rerunning the command makes what is missing. Processes that share the work each take a part:
    `videoar evaluate vbench-export WEIGHTS VBench_full_info.json OUT --part 1/8`

    Those of VBench-I2V, which animate its pictures:
    `videoar evaluate vbench-export WEIGHTS vbench2_i2v_full_info.json OUT --images crop/16-9`

    OUT.json, next to the folder, records weights and sampling; others are refused there. Prints one JSON line.
    """

    weights: Weights
    """Folder that `videoar export` wrote, of weights that were trained on captions; or `small-world`, which ships."""
    prompts: Positional[Annotated[Path, arg(metavar="PROMPTS")]]
    """VBench_full_info.json: five videos of a prompt, 25 of those for temporal flickering; or a text file with a prompt
    in each line, five videos of each."""
    out: OutFolder
    """Folder of the videos: a new or an empty one, or that of an interrupted export."""
    part: Annotated[str | None, arg(metavar="N/COUNT")] = None
    """Make only this part of the videos, 1/COUNT to COUNT/COUNT."""
    images: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder of VBench-I2V's pictures in one shape, such as crop/16-9, to animate: with vbench2_i2v_full_info.json as
    PROMPTS, this makes the videos of VBench-I2V."""
    num_frames: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """Pixel frames of a video, 1 + 4n; as in training if not given."""
    size: Annotated[str | None, arg(metavar="HxW")] = None
    """Frame size in pixels, one that the weights were trained on; the first if not given."""
    guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """Strength of guidance, as of `videoar generate`; that of the weights if not given."""
    temperature: Temperature = 1.0
    """Divisor of the logits; 0 always takes the likelier bit."""
    top_p: TopP = 1.0
    """A bit whose likelier value has at least this probability takes it; 1 keeps both values of every bit."""
    seed: DrawingSeed = 0
    """Of the sampling; each video has a seed that follows from this, its prompt and its index."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 4
    """Videos that are made at once."""


def vbench_export(words: Sequence[str], prog: str) -> int:
    options = parse(VbenchExport, words, prog)
    check_folder("out", options.out)
    from videoar.pretrain.evaluate.signature import sampling_signature, weights_signature
    from videoar.pretrain.evaluate.vbench_videos import claim_folder
    from videoar.pretrain.generate import Request, VideoPipeline

    wanted, count = _wanted(options)
    with typed_as(schedule="size"):
        pipeline = VideoPipeline.from_pretrained(options.weights)
        _refuse_labels(pipeline.config.model.text.kind)
        shape = pipeline.shape(options.size)
        sampled = Request(
            num_frames=options.num_frames or shape.num_frames,
            schedule=shape.schedule,
            guidance=options.guidance,
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
        )
        pipeline.check(replace(sampled, image=wanted[0].image))
        suite = "vbench" if options.images is None else f"vbench-i2v|images={options.images.resolve().name}"
        how = sampling_signature(pipeline, options.temperature, options.top_p, options.guidance)
        line = f"{suite}|{weights_signature(pipeline)}|{shape.schedule}|T{sampled.num_frames}|{how}|seed{options.seed}"
        claim_folder(options.out, line)
        _make(pipeline, wanted, sampled, options)
    say(json.dumps({"videos": len(wanted), "of": count, "out": str(options.out), "signature": line}))
    return 0


def _wanted(options: VbenchExport) -> tuple[list[WantedVideo], int]:
    """The videos of this part, and how many there are in all."""
    from videoar.data_pipeline.preparing.part import Part
    from videoar.pretrain.evaluate.vbench_videos import find_images, read_prompts, wanted_videos

    part = Part() if options.part is None else Part.of(options.part)
    prompts = read_prompts(options.prompts)
    images = None if options.images is None else find_images(options.prompts, prompts, options.images)
    everything = wanted_videos(prompts, images)
    wanted = [video for number, video in enumerate(everything) if part.has(number)]
    if not wanted:
        raise InputError("part", options.part, f"has none of the {len(everything)} videos", "use fewer parts")
    return wanted, len(everything)


def _make(pipeline: VideoPipeline, wanted: Sequence[WantedVideo], sampled: Request, options: VbenchExport) -> None:
    """Make what is missing, with progress."""
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.vbench_videos import make_videos

    began, first = time.monotonic(), None
    with ProgressLine("vbench-export", len(wanted)) as progress:
        for done in make_videos(pipeline, wanted, options.out, sampled, options.batch):
            first = done if first is None else first
            rate = (done - first) / max(time.monotonic() - began, 1e-9)
            left = {"left_s": round((len(wanted) - done) / rate)} if rate else {}
            progress(done, len(wanted), {"videos/s": round(rate, 3), **left})


def _refuse_labels(kind: str) -> None:
    if kind == "label":
        problem = "were trained on labels, and VBench has prompts"
        raise InputError("weights", kind, problem, "give weights that were trained on captions")
