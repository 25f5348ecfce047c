"""`videoar selfcheck`: does generation compute what training has trained?"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse, typed_as
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.fields.limits import Limits, OneOrMore
from videoar.cluster.ground.files import check_folder
from videoar.cluster.ground.processes.preemption import Preempted, temporary_folder


@dataclass(frozen=True, kw_only=True)
class SelfCheckCommand:
    """Overfit one drawn clip and check that generation returns it: a test of the whole path from training to video.

    A small model trains on one clip by the real loop, is exported, and generates freely and greedily: at least 99.9 %
    of the bits must be those of the clip. Otherwise the exit code is 1, and a line names the first wrong frame and
    scale. It also says whether that scale is right when the clip's own history is given: if so, training and inference
    differ. Run it after a change to the model, the cache, positions or the loop. Takes about ten seconds on a CPU.
    """

    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder to keep run/ and weights/ in; rerunning the command continues there. If not given, they are removed."""
    size: Annotated[str, arg(metavar="HxW")] = "64x64"
    """Frame size of the clip."""
    num_frames: Annotated[int, Limits(1, 257, step=4), arg(metavar="N")] = 17
    """Pixel frames of the clip, 1 + 4n, at most 257; with more than 9, the cache drops past frames."""
    steps: Annotated[OneOrMore, arg(metavar="N")] = 400
    """Training steps; a larger clip needs more."""
    history: Literal["scales", "context"] = "scales"
    """What later frames attend to (`model.history` of recipes)."""


def selfcheck(words: Sequence[str], prog: str) -> int:
    options = parse(SelfCheckCommand, words, prog)
    if options.out is not None:
        check_folder("out", options.out)
    from videoar.cluster.demo.selfcheck import SelfCheck
    from videoar.cluster.demo.selfcheck import selfcheck as run_check

    check = SelfCheck(size=options.size, num_frames=options.num_frames, steps=options.steps, history=options.history)
    with contextlib.ExitStack() as kept, typed_as(schedule="size"):
        out = options.out or kept.enter_context(temporary_folder("videoar-selfcheck-"))
        try:
            outcome = run_check(check, out, say)
        except Preempted as stop:
            if options.out is not None:
                raise
            raise Stopped("stopped by a signal; nothing is kept without --out") from stop
    say("ok" if outcome.share == 1 else f"ok, except: {outcome.first_wrong}")
    return 0
