"""`videoar diagnose`: find out why a run does not train as it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RunFolder, parse
from videoar.cluster.cli.output import say, say_finding
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.progress import ProgressLine


@dataclass(frozen=True, kw_only=True)
class Diagnose:
    """Check a run for common problems: each line is ok, warn, fail or skip, with figures and the remedy.

    Reads RUN, its data and its newest checkpoint, also while it trains, and changes nothing. Causes come before
    symptoms: the first failure is the likeliest reason for the later ones. Exit codes: 0 nothing fails, 1 something
    fails, 2 wrong input.
    """

    run: RunFolder
    """Folder that `videoar train` wrote."""
    json: bool = False
    """Print each line as a JSON object with its figures, for scripts."""
    deep: bool = False
    """Also hash every checkpoint and compare the sampler's cached passes with a training pass; this loads the weights
    in float32."""
    weights: Annotated[Path | None, arg(metavar="WEIGHTS")] = None
    """Folder of an export of the run, to compare with the run's data."""


def diagnose(words: Sequence[str], prog: str) -> int:
    options = parse(Diagnose, words, prog)
    from videoar.pretrain.diagnose import diagnose as look

    found = []
    with ProgressLine("diagnose", brief=True) as line:
        on_check = line.naming("check")
        for finding in look(options.run, everything=options.deep, weights=options.weights, on_check=on_check):
            with line.aside():
                say_finding(finding, asked_json=options.json)
            found.append(finding)
    if not options.json:
        say(_summary(found))
    return 1 if any(finding.state == "fail" for finding in found) else 0


def _summary(found: Sequence[Finding]) -> str:
    counts = Counter(finding.state for finding in found)
    counted = ", ".join(f"{counts[state]} {state}" for state in ("fail", "warn", "ok", "skip") if counts[state])
    first = next((finding for finding in found if finding.state == "fail"), None)
    return f"{counted}. Likeliest cause: {first.name}: {first.remedy}" if first else f"{counted}."
