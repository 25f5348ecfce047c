"""`videoar evaluate vbench-export`: the folder of videos that VBench's tool reads."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import OutFolder, Weights, parse, typed_as
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder
from videoar.cluster.ground.limits import DrawingSeed, OneOrMore, PixelFrames, Temperature, TopP


@dataclass(frozen=True, kw_only=True)
class VbenchExport:
    """Make the videos of VBench's prompts, in a folder that its tool reads: `{prompt}-{index}.mp4`.

    Rerunning the command makes what is missing. Processes that share the work each take a part:
    `videoar evaluate vbench-export WEIGHTS VBench_full_info.json OUT --part 1/8`

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
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.preparing.part import Part
    from videoar.pretrain.evaluate.signature import sampling_signature, weights_signature
    from videoar.pretrain.evaluate.vbench_videos import claim_folder, make_videos, read_prompts, wanted_videos
    from videoar.pretrain.generate import Request, VideoPipeline

    part = Part() if options.part is None else Part.of(options.part)
    everything = wanted_videos(read_prompts(options.prompts))
    wanted = [video for number, video in enumerate(everything) if part.has(number)]
    if not wanted:
        raise InputError("part", options.part, f"has none of the {len(everything)} videos", "use fewer parts")
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
        how = sampling_signature(pipeline, options.temperature, options.top_p, options.guidance)
        line = f"vbench|{weights_signature(pipeline)}|{shape.schedule}|T{sampled.num_frames}|{how}|seed{options.seed}"
        claim_folder(options.out, line)
        began, first = time.monotonic(), None
        with ProgressLine("vbench-export", len(wanted)) as progress:
            for done in make_videos(pipeline, wanted, options.out, sampled, options.batch):
                first = done if first is None else first
                rate = (done - first) / max(time.monotonic() - began, 1e-9)
                left = {"left_s": round((len(wanted) - done) / rate)} if rate else {}
                progress(done, len(wanted), {"videos/s": round(rate, 3), **left})
    say(json.dumps({"videos": len(wanted), "of": len(everything), "out": str(options.out), "signature": line}))
    return 0


def _refuse_labels(kind: str) -> None:
    if kind == "label":
        problem = "were trained on labels, and VBench has prompts"
        raise InputError("weights", kind, problem, "give weights that were trained on captions")
