"""`videoar study`: train and measure the arms of an ablation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import Limits, OneOrMore

StudySeed = Annotated[int, Limits(0, 1_000_000)]


@dataclass(frozen=True, kw_only=True)
class RunStudy:
    """Train and measure the arms of a study with several seeds, and make a page of effects; rerunning resumes.

    OUT gets data/ (the shards of all arms), runs/ and weights/ (a folder for each arm and seed), results.jsonl (a line
    for each), page.html, and results.md, its tables as Markdown. The studies are `small_world`, the paper's ablations
    on a small scale, and `debug`, the same in a minute, whose figures mean nothing; configs/studies/ defines them.

    `videoar study small_world --arms learned rope --seeds 0 1 2`

    Exit codes: 0 done, 1 failed, 2 wrong input, 75 saved after a signal (run it again).
    """

    name: Positional[Annotated[str, tyro.conf.arg(metavar="NAME")]]
    """Name of the study."""
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder to write, called OUT above; runs/study-NAME if not given. One process at a time can use it."""
    arms: Annotated[tuple[str, ...], arg(metavar="ARM...")] = ()
    """Names of the arms to run; all if not given. Others can be added later."""
    seeds: Annotated[tuple[StudySeed, ...], arg(metavar="N...")] = ()
    """Seeds to run each arm with; those of the study if not given. Others can be added later."""
    steps: Annotated[OneOrMore | None, arg(metavar="N")] = None
    """Optimizer steps of every run, instead of those of the study. The same for all of OUT."""
    tokenizer: Annotated[str, arg(metavar="DIR")] = ""
    """Folder of the tokenizer, or the name of one that ships; the study's own if not given. The same for all of OUT."""
    again: bool = False
    """Train nothing: measure the trained runs again, and replace their lines in results.jsonl."""


def study(words: Sequence[str], prog: str) -> int:
    options = parse(RunStudy, words, prog)
    from videoar.cluster.study.study import Chosen, run_study
    from videoar.configs.studies.find import find_study

    seeds = options.seeds
    if len(set(seeds)) != len(seeds):
        raise InputError("seeds", " ".join(map(str, seeds)), "names a seed twice", "name each once")
    found = find_study(options.name, options.tokenizer, options.steps)
    chosen = Chosen(arms=found.chosen(options.arms), seeds=seeds or found.seeds)
    run_study(found, chosen, options.out or Path("runs") / f"study-{found.name}", say, again=options.again)
    return 0
