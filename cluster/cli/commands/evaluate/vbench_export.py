"""`videoar evaluate vbench-export`: the folder of videos that VBench's tool reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import OutFolder, Weights, parse, typed_as
from videoar.cluster.cli.commands.evaluate.folder_sampling import FolderSampling, make_folder
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.made_videos.of_vbench import WantedVideo
    from videoar.pretrain.model.pretrained import ExportConfig


@dataclass(frozen=True, kw_only=True)
class VbenchExport(FolderSampling):
    """Make the videos of VBench's prompts, in a folder that its tool reads: `{prompt}-{index}.mp4`.

    Rerunning the command makes what is missing. Processes that share the work each take a part:
    `videoar evaluate vbench-export WEIGHTS VBench_full_info.json OUT --part 1/8`

    To make the videos of VBench-I2V, which animate its pictures:
    `videoar evaluate vbench-export WEIGHTS vbench2_i2v_full_info.json OUT --images crop/16-9`

    OUT.json, next to the folder, records weights, sampling, prompts and pictures. A rerun with other ones is refused;
    prompts that are added at the end of PROMPTS add their videos. Prints one JSON line.

    Exit codes: 0 done, 1 failed, 2 wrong input, 75 stopped by a signal (run it again).
    """

    weights: Weights
    """Folder that `videoar export` wrote, of weights that were trained on captions; or `small-world`, which ships."""
    prompts: Positional[Annotated[Path, arg(metavar="PROMPTS")]]
    """VBench_full_info.json: five videos per prompt, 25 for prompts of temporal flickering; or a text file with one
    prompt per line: five videos each."""
    out: OutFolder
    """Folder of the videos: a new or an empty one, or that of an interrupted export."""
    images: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder of VBench-I2V's pictures in one shape, such as crop/16-9, to animate: with vbench2_i2v_full_info.json as
    PROMPTS, this makes the videos of VBench-I2V."""


def vbench_export(words: Sequence[str], prog: str) -> int:
    options = parse(VbenchExport, words, prog)
    check_folder("out", options.out)
    from videoar.pretrain.generate import VideoPipeline

    wanted = wanted_of(options)
    with typed_as(schedule="size"):
        pipeline = VideoPipeline.from_pretrained(options.weights, graphs=options.graphs)
        refuse_labels(pipeline.config)
        suite = "vbench" if options.images is None else f"vbench-i2v|images={options.images.resolve().name}"
        report = make_folder(pipeline, options, wanted, options.out, suite)
    say(json.dumps(report))
    return 0


def wanted_of(options: VbenchExport) -> list[WantedVideo]:
    """The videos of all parts. InputError for prompts or pictures that are not there."""
    from videoar.pretrain.evaluate.made_videos.folder import in_part
    from videoar.pretrain.evaluate.made_videos.of_vbench import find_images, read_prompts, wanted_videos

    prompts = read_prompts(options.prompts)
    images = None if options.images is None else find_images(options.prompts, prompts, options.images)
    everything = wanted_videos(prompts, images)
    in_part(everything, options.part)  # a wrong part is refused before the weights are read
    return everything


def refuse_labels(config: ExportConfig) -> None:
    """InputError for weights that were trained on labels."""
    if (kind := config.model.text.kind) == "label":
        problem = "were trained on labels, and VBench has prompts"
        raise InputError("weights", kind, problem, "give weights that were trained on captions")
