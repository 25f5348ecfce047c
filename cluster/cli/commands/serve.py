"""`videoar serve`: a page on this machine that makes videos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from videoar.cluster.cli.arguments import Weights, parse, typed_as
from videoar.cluster.cli.commands.generate import dtype_named
from videoar.cluster.cli.output import say, warn
from videoar.cluster.ground.fields.limits import Limits, OneOrMore, PixelFrames

if TYPE_CHECKING:
    from videoar.cluster.serve.studio import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Show a page in the browser that makes videos from prompts, pictures and clips.

    `videoar serve WEIGHTS` and then open http://127.0.0.1:7860; Ctrl-C ends it.
    `videoar serve WEIGHTS --compare OTHER` makes each video with both weights, side by side.

    It needs Gradio: `pip install 'videoar[serve]'`. One video is made at a time. Only this machine
    reaches the page; from another one: `ssh -L 7860:127.0.0.1:7860 THIS-MACHINE`. Videos and uploads are in temporary
    folders, which are removed at the end. The address is printed on stdout.
    """

    weights: Weights
    """Folder that `videoar export` wrote, or `small-world`: weights that ship with the package."""
    compare: Annotated[Path | None, arg(metavar="WEIGHTS")] = None
    """Folder of other weights, which make the same videos for comparison; both must be trained on captions, or
    labels."""
    port: Annotated[int, Limits(0, 65535)] = 7860
    """Port of the page; 0 takes a free one."""
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1"
    """Address of the page: loopback only, because a page has no passwords."""
    max_frames: Annotated[PixelFrames, arg(metavar="N")] = 257
    """Largest number of pixel frames of a video, 1 + 4n."""
    max_waiting: Annotated[OneOrMore, arg(metavar="N")] = 8
    """Requests that wait for their turn; further ones are refused."""
    max_upload_mib: Annotated[OneOrMore, arg(metavar="N")] = 64
    """Largest picture or clip that can be uploaded."""
    text_encoder: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of the T5 encoder, for weights trained on its states; the folder used in training if not given."""
    dtype: Literal["float32", "bf16"] | None = None
    """What the models compute in; bf16 on a GPU and float32 on a CPU if not given."""


def serve(words: Sequence[str], prog: str) -> int:
    options = parse(Serve, words, prog)
    from videoar.cluster.serve.server import checked_port, serving, wait_for_a_signal, working_folders

    port = checked_port(options.host, options.port)
    from videoar.cluster.serve.page import build_page
    from videoar.cluster.serve.studio import Studio

    with working_folders() as videos:
        studio = Studio(_open(options), videos, options.max_frames)
        page = build_page(studio, options.max_waiting)
        with serving(page, port, options.max_upload_mib * 2**20) as url:
            wait_for_a_signal(lambda: _tell(url))
    warn("the page is closed")
    return 0


def _open(options: Serve) -> list[Checkpoint]:
    """The weights, by the names of their folders."""
    from videoar.cluster.serve.studio import Checkpoint
    from videoar.pretrain.generate import VideoPipeline

    folders = [options.weights, *([options.compare] if options.compare else [])]
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    dtype = dtype_named(options.dtype)
    with typed_as(path="text_encoder") if options.text_encoder else nullcontext():
        opened = [VideoPipeline.from_pretrained(one, None, dtype, options.text_encoder) for one in folders]
    for pipeline in opened:
        warn(pipeline.tokenizer.warning)
    return [Checkpoint(name, pipeline) for name, pipeline in zip(names, opened, strict=True)]


def _tell(url: str) -> None:
    """Write the address at once: the reader of stdout waits for it while the command runs."""
    say(url)
    sys.stdout.flush()
