"""`videoar bench`: measure what the code costs on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import parse, say

Name = Literal["sharding", "pipeline", "memory", "checkpoint", "cutting", "data_units", "data_overhead", "loader"]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure one thing on this machine; ratios compare what ran in turn within the call.

    sharding: the sharded engine at size 1 over plain PyTorch (goal: 5 % more at most), and the compute of each of two
    tensor-parallel processes over that of one (goal: 0.55 at most), with their collectives in seconds and bytes.

    pipeline: the idle share of 1F1B and interleaved schedules on 2 and 4 stages, from the order of events of real
    steps, beside (p-1)/(vm+p-1).

    memory: bytes of weights, gradients, optimizer state and moving average on each of 2 replicas under ZeRO 0 to 3,
    counted from tensors, beside the formula.

    checkpoint: what the loop waits for at a save, beside a plain copy; writing and loading beside plain writes and
    reads of the same bytes; and the seconds from the command to the first step of a resumed debug run, by parts.

    cutting: all clips of a film whose key frames lie far apart, from one pass as the plan has it, over seeking each
    (goal: 5 times as fast).

    data_units: units of data preparation scheduled in a second, the driver's memory over 24,000 of them, and a restart
    that finds all of them done (goals: 200, 50 MiB, 30 s).

    data_overhead: a preparation of real films by one actor over its own decoding and tokenizing (goal: 10 % more).

    loader: samples a second of the training loader over the plain webdataset library on the same tars (goal: 2 times as
    many), and the share of its time that a trainer with steps of a second waits for data (goal: 1 %).
    """

    name: Positional[Annotated[Name, arg(metavar="NAME")]]
    """What to measure: sharding, pipeline, memory, checkpoint, cutting, data_units, data_overhead or loader."""
    json: bool = False
    """The result as one JSON line, for scripts."""


def bench(words: Sequence[str], prog: str) -> int:
    options = parse(Bench, words, prog)
    from videoar.benchmarks.run import run

    result = run(options.name)
    if options.json:
        say(json.dumps(result))
    else:
        for field, value in _leaves(result):
            say(f"{field}: {value}")
    return 0


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """(dotted name, value) of everything in a result; a list's items by index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [(path, value)]
    return [leaf for name, item in items for leaf in _leaves(item, f"{path}.{name}" if path else str(name))]
