"""`videoar push`: publish exported weights on the Hugging Face Hub."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import Weights, parse
from videoar.cluster.cli.output import say, warn
from videoar.cluster.ground.log_level import shows_progress

if TYPE_CHECKING:
    from videoar.pretrain.export.push import Upload


@dataclass(frozen=True, kw_only=True)
class Push:
    """Upload exported weights to the Hugging Face Hub, as one commit.

    `videoar push weights/my me/my-videos --dry-run` checks everything and lists the files; nothing is sent.
    `videoar push weights/my me/my-videos --private` sends them.

    It needs huggingface_hub: `pip install 'videoar[hub]'`, and a token that may write: `hf auth login`, or HF_TOKEN.
    Names, hashes and the model card are checked before anything is sent. The address of the page is printed on stdout.
    """

    weights: Weights
    """Folder that `videoar export` wrote. Other files in it are not sent."""
    repo: Positional[Annotated[str, arg(metavar="REPO")]]
    """Repository on the Hub, OWNER/NAME, or NAME for one of your own; it is made if it does not exist."""
    private: bool = False
    """Make a private repository; one that exists and is public is refused. If not given, the default of
    your account, which is public unless its settings say otherwise."""
    dry_run: bool = False
    """List the files with their sizes and the front matter of the card, and send nothing. Needs no token."""


def push(words: Sequence[str], prog: str) -> int:
    options = parse(Push, words, prog)
    from huggingface_hub.utils import disable_progress_bars

    from videoar.pretrain.export.push import checked_upload, send

    upload = checked_upload(options.weights, options.repo)
    if not upload.card.license:
        warn("the card names no licence: nobody may use the weights; export with --license ID, such as apache-2.0")
    if options.dry_run:
        _show(upload)
        warn(f"nothing was sent to {options.repo}: leave out --dry-run to send it")
        return 0
    if not (sys.stderr.isatty() and shows_progress()):
        disable_progress_bars()
    say(send(upload, options.repo, private=options.private))
    return 0


def _show(upload: Upload) -> None:
    """Each file with its size, their total, and what the card says to the Hub."""
    from videoar.pretrain.planner.report import byte_size

    sizes = {name: upload.size(name) for name in upload.files}
    for name, size in {**sizes, "total": sum(sizes.values())}.items():
        say(f"{byte_size(size):>10}  {name}")
    for field, value in upload.card.to_dict().items():
        say(f"{field}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
