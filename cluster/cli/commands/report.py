"""`videoar report`: a page about a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videoar.cluster.cli.arguments import RunFolder, parse
from videoar.cluster.cli.output import say
from videoar.cluster.ground.files import check_folder, write_atomically
from videoar.cluster.ground.progress import ProgressLine

_NAME = "report.html"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write a page about a run: curves with validations, videos of samples, and what `videoar diagnose` finds.

    `videoar report runs/debug`

    It reads RUN, also while it trains, and shows its state; rerun the command for a newer page.
    """

    run: RunFolder
    """Folder that `videoar train` wrote; the page is written there as report.html, and replaces an earlier one."""


def report(words: Sequence[str], prog: str) -> int:
    options = parse(Report, words, prog)
    from videoar.cluster.run_report.page import render

    with ProgressLine("report", brief=True) as line:
        page = render(options.run, line.naming("check"))
    check_folder("run", options.run)
    write_atomically(options.run / _NAME, page)
    say(str(options.run / _NAME))
    return 0
