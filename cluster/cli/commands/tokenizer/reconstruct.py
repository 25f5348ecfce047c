"""`videoar tokenizer reconstruct`: write a video next to its reconstruction from bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import parse, typed_as
from videoar.cluster.cli.commands.tokenizer.weights import TokenizerName, device_of, open_weights
from videoar.cluster.cli.output import say
from videoar.cluster.ground.files import check_folder, refuse_existing
from videoar.cluster.ground.limits import FramesPerSecond, OneOrMore


@dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """Encode a video to bits, decode it, and write both: the original above, the reconstruction below."""

    weights: TokenizerName
    """Folder that `videoar tokenizer train` wrote (RUN/tokenizer), or the name of an untrained preset."""
    video: Positional[Annotated[Path, arg(metavar="IN")]]
    """Video or picture file to read."""
    out: Positional[Annotated[Path, arg(metavar="OUT.mp4")]]
    """File to write; one that exists is refused without --force."""
    size: Annotated[str, arg(metavar="HxW")] = "128x128"
    """Frame size in pixels: the name of a scale schedule."""
    num_frames: Annotated[OneOrMore, arg(metavar="N")] = 33
    """Use at most the last N pixel frames, cut to 1 + 4n."""
    fps: FramesPerSecond = 8.0
    """Frames per second that the video is sampled at."""
    force: bool = False
    """Replace the file if it exists."""


def reconstruct(words: Sequence[str], prog: str) -> int:
    options = parse(Reconstruct, words, prog)
    refuse_existing("out", options.out, force=options.force)
    check_folder("out", options.out.parent)
    import numpy as np
    import torch

    from videoar.data_pipeline.decoding.given import last_frames
    from videoar.pretrain.generate.video import save_mp4, to_frames, to_tensor
    from videoar.tokenizer.evaluation.evaluate import reconstruct as through_bits
    from videoar.tokenizer.scales import ScaleSchedule

    with typed_as(schedule="size"):
        schedule = ScaleSchedule.named(options.size)
    tokenizer = open_weights(options.weights)
    clip = last_frames(options.video, options.size, options.fps, options.num_frames)
    with torch.inference_mode():
        decoded = through_bits(tokenizer, [to_tensor(clip).to(device_of(tokenizer))], schedule)
        rebuilt = np.concatenate([to_frames(part)[0] for part in decoded])
    say(str(save_mp4(np.concatenate([clip, rebuilt], axis=1), options.out, options.fps)))
    return 0
