"""`videoar bench`: measure what the code costs on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.output import say

Name = Literal["sharding", "pipeline", "memory", "checkpoint", "cutting", "data_units", "data_overhead", "loader"]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure one thing on this machine; ratios compare things that ran alternately in this call.

    sharding: step time of the sharded engine at size 1 divided by plain PyTorch's (goal: at most 1.05), and compute of
    each of two tensor-parallel processes divided by that of one process (goal: at most 0.55), with the seconds and
    bytes of their collectives.

    pipeline: the idle share of 1F1B and interleaved schedules on 2 and 4 stages, from the order of events of real
    steps, compared with (p-1)/(vm+p-1).

    memory: bytes of weights, gradients, optimizer state and moving average on each of 2 replicas under ZeRO 0 to 3,
    counted from tensors, compared with the formula.

    checkpoint: how long the loop waits at a save, compared with a plain copy; writing and loading compared with plain
    writes and reads of the same bytes; and the seconds from the command to the first step of a resumed debug run.

    cutting: all clips of a film with distant key frames, decoded in one pass, compared with seeking each clip (goal: 5
    times as fast).

    data_units: units of data preparation scheduled per second, growth of the driver's memory over 24,000 units, and the
    time of a restart that finds all of them done (goals: 200, 50 MiB, 30 s).

    data_overhead: time of preparing real films with one actor divided by its decoding and tokenizing alone (goal: 1.1).

    loader: samples per second of the training loader, compared with the plain webdataset library on the same tars
    (goal: 2 times as many), and the share of time that a trainer with steps of one second waits for data (goal: 1 %).
    """

    name: Positional[Annotated[Name, arg(metavar="NAME")]]
    """What to measure: sharding, pipeline, memory, checkpoint, cutting, data_units, data_overhead or loader."""
    json: bool = False
    """Print the result as one JSON line, for scripts."""


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
    """(dotted name, value) of every number in a result; items of a list by index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [(path, value)]
    return [leaf for name, item in items for leaf in _leaves(item, f"{path}.{name}" if path else str(name))]
