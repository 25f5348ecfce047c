"""`videoar init`: a first recipe for a folder of clips."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import only_with, parse, typed_as
from videoar.cluster.cli.output import say, warn, warn_next
from videoar.cluster.ground.errors import InputError, raise_all
from videoar.cluster.ground.fields.checks import check_name
from videoar.cluster.ground.fields.limits import Hours
from videoar.cluster.ground.files import refuse_existing, write_atomically

_SHOWN = 5
"""Files with a problem that are named; the plan of the data has all."""


@dataclass(frozen=True, kw_only=True)
class Init:
    """Look at a folder of clips and print a short recipe with comments that trains on them, on this machine.

    `videoar init clips/ --out my.yaml`
    `videoar train my.yaml --run runs/my`

    Or continue from trained weights, which needs fewer clips and steps than a new model:
    `videoar init clips/ --init small-world --out my.yaml`
    `videoar train my.yaml --init small-world --run runs/my`

    Sizes, frame rates and lengths are read from the headers of at most 64 files; nothing is decoded whole. The model,
    packs and steps fit this machine's memory and speed, by the estimates of `videoar plan` if it has GPUs.
    """

    clips: Positional[Annotated[str, arg(metavar="CLIPS")]]
    """Folder of videos and images, with the caption of x.mp4 in x.txt next to it; a local path or an fsspec URL."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """YAML file to write; printed on stdout if not given."""
    hours: Hours | None = None
    """Hours that training should take, by estimate; 0.2 on a CPU and 4 on GPUs if not given."""
    init: Annotated[str | None, arg(metavar="WEIGHTS")] = None
    """Folder of exported weights, or the name of weights that ship: the recipe uses their model and tokenizer, and
    continues their training; a new model if not given."""
    name: str | None = None
    """Name of the recipe; that of FILE, or of the folder, if not given."""
    force: bool = False
    """Replace FILE if it exists."""


def init(words: Sequence[str], prog: str) -> int:
    options = parse(Init, words, prog)
    only_with(options, "out", "force")
    if options.name is not None:
        check_name("name", options.name)
    from videoar.cluster.new_recipe.choose import choose
    from videoar.cluster.new_recipe.clips import look_at, name_of
    from videoar.cluster.new_recipe.machine import this_machine
    from videoar.cluster.new_recipe.start import start_from
    from videoar.cluster.new_recipe.write import commented

    with typed_as(path="CLIPS", weights="init"):
        _, start, clips = raise_all(
            lambda: _check_out(options),
            lambda: start_from(options.init) if options.init else None,
            lambda: look_at(options.clips),
        )
    machine = this_machine()
    choice = choose(clips, machine, options.name or name_of(str(options.out or options.clips)), options.hours, start)
    text = commented(choice, clips, machine)
    for line in _remarks(clips.problems):
        warn(line)
    if options.out is None:
        sys.stdout.write(text)
        return 0
    write_atomically(options.out, text)
    say(str(options.out))
    init = ["--init", start.weights] if start else []
    warn_next("train", str(options.out), *init, "--run", str(Path("runs") / choice.recipe.name))
    return 0


def _check_out(options: Init) -> None:
    if options.out is None:
        return
    if options.out.suffix not in (".yaml", ".yml"):
        raise InputError("out", options.out, "does not end with .yaml", "name a .yaml file")
    refuse_existing("out", options.out, force=options.force)
    if not options.out.absolute().parent.is_dir():
        raise InputError("out", options.out, "is in a folder that does not exist", "make the folder first")


def _remarks(problems: Sequence[str]) -> list[str]:
    """What will not be used, in a few lines."""
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return [f"not used: {line}" for line in problems[:_SHOWN]] + more
