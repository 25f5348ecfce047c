"""`videoar diagnose`: why a run does not do what it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RunFolder, parse, say
from videoar.cluster.ground.finding import Finding, as_json, as_text


@dataclass(frozen=True, kw_only=True)
class Diagnose:
    """Look for what commonly goes wrong in a run: each line ok, warn, fail or skip, with figures and the remedy.

    Reads RUN, its data and its newest checkpoint, also while it trains, and changes nothing. Causes stand before
    their symptoms: the first failure is the likeliest reason for those after it. Exit codes: 0 nothing fails, 1
    something does, 2 wrong input.
    """

    run: RunFolder
    """Folder that `videoar train` wrote."""
    json: bool = False
    """One JSON object a line, for scripts; it holds the figures behind each line."""
    deep: bool = False
    """Hash every checkpoint, and hold the sampler's cached passes against a training pass; loads the weights in
    float32."""
    weights: Annotated[Path | None, arg(metavar="WEIGHTS")] = None
    """An export of the run, to be held against its data."""


def diagnose(words: Sequence[str], prog: str) -> int:
    options = parse(Diagnose, words, prog)
    from videoar.pretrain.diagnose import diagnose as look

    found = []
    for finding in look(options.run, everything=options.deep, weights=options.weights):
        say(as_json(finding) if options.json else as_text(finding))
        found.append(finding)
    if not options.json:
        say(_summary(found))
    return 1 if any(finding.state == "fail" for finding in found) else 0


def _summary(found: Sequence[Finding]) -> str:
    counts = Counter(finding.state for finding in found)
    told = ", ".join(f"{counts[state]} {state}" for state in ("fail", "warn", "ok", "skip") if counts[state])
    first = next((finding for finding in found if finding.state == "fail"), None)
    return f"{told}. Likeliest cause: {first.name}: {first.remedy}" if first else f"{told}."
