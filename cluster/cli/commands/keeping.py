"""What the evaluations that print figures have in common to resume and to share their work: a folder, and a part."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from videoar.cluster.cli.arguments import only_with
from videoar.cluster.cli.output import say, telling
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder

if TYPE_CHECKING:
    from videoar.data_pipeline.preparing.part import Part
    from videoar.pretrain.evaluate.kept import KeptRows, Measured


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What is kept of the work, and how much of it is done."""

    keep: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder that keeps the few numbers measured for each clip, so that rerunning the command resumes. FOLDER.json,
    next to it, records weights, clips and settings; a run with other ones is refused."""
    part: Annotated[str | None, arg(metavar="N/COUNT")] = None
    """With --keep: measure only this part of the clips, 1/COUNT to COUNT/COUNT; then run without it for the figures."""


OF_FIGURES = ("out", "picture")
"""Options that need the figures of all clips, so they cannot be given with a part."""


def check_keeping(options: Keeping, array: int | None = None) -> None:
    """InputError for parts without a folder that keeps them, or with an option that is about the figures."""
    only_with(options, "keep", "part")
    _part(options)
    if options.keep is not None:
        check_folder("keep", options.keep)
    elif array is not None:
        raise InputError("array", array, "needs a folder that keeps the figures of each clip", "add --keep FOLDER")
    for name in OF_FIGURES if options.part is not None or array is not None else ():
        if value := getattr(options, name, None):
            problem = "needs the figures of all clips, which a part does not have"
            raise InputError(name, value, problem, "leave it out here, and give it when all parts are done")
    _check_apart(options)


def _check_apart(options: Keeping) -> None:
    """InputError for a folder in that of the figures, which holds nothing else: a rerun would be refused there."""
    out = getattr(options, "out", None)
    if options.keep is not None and out is not None and options.keep.resolve().is_relative_to(out.resolve()):
        raise InputError("keep", options.keep, f"is in --out {out}, which holds only figures", "name another folder")


def open_kept(options: Keeping, signature: str, groups: int) -> KeptRows:
    """Where measurements are kept. InputError for a folder of others, and for a part with none of the groups."""
    from videoar.pretrain.evaluate.claim import claim
    from videoar.pretrain.evaluate.kept import KeptRows, check_part

    if (part := _part(options)) is not None:
        check_part(part, groups)
    if options.keep is not None:
        claim(options.keep, signature, field="keep", holds="figures")
    return KeptRows(options.keep, part, signature)


def _part(options: Keeping) -> Part | None:
    from videoar.data_pipeline.preparing.part import Part

    return None if options.part is None else Part.of(options.part)


def say_part(options: Keeping, clips: int, of: int, **facts: Any) -> int:
    """Print what a part has measured; exit code 0."""
    say(json.dumps({"clips": clips, "of": of, "part": options.part, "keep": str(options.keep), **facts}))
    return 0


def tell_left_out(found: Measured, left_out: Counter[str]) -> None:
    """Count the clips that could not be read, now or before, by reason."""
    tell = telling(left_out)
    for name, reason in found.left_out:
        tell(name, reason)
