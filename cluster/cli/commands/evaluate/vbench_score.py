"""`videoar evaluate vbench-score`: the scores of VBench from the results of its dimensions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.output import in_json, say


@dataclass(frozen=True, kw_only=True)
class VbenchScore:
    """Compute VBench's total, quality and semantic score from the results of its dimensions; or VBench-I2V's.

    VBench itself runs in an environment of its own; give the files that its evaluation wrote, one or one for each
    dimension: `videoar evaluate vbench-score results/*_eval_results.json`

    Prints a table on a terminal, and otherwise one JSON line; a score that lacks a dimension is null.
    """

    results: Positional[Annotated[tuple[Path, ...], arg(metavar="RESULTS.json")]]
    """Files with results by dimension, each a share from 0 to 1."""
    json: bool = False
    """Print the JSON line on a terminal, too."""


def vbench_score(words: Sequence[str], prog: str) -> int:
    options = parse(VbenchScore, words, prog)
    from videoar.pretrain.evaluate.vbench import aggregate, read_results

    results = read_results(options.results)
    score = aggregate(results)
    if in_json(options.json):
        say(json.dumps({**asdict(score), "results": results}))
        return 0
    for name in ("total", "quality", "semantic" if score.i2v is None else "i2v"):
        value = getattr(score, name)
        say(f"{name:<24}{'lacks dimensions' if value is None else f'{100 * value:.2f}'}")
    for name, result in results.items():
        say(f"  {name:<22}{100 * result:.2f}")
    if score.missing:
        say(f"without a result: {', '.join(score.missing)}")
    return 0
