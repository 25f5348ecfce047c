"""`videoar bench`: measure what the code costs on this machine."""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import only_with, parse
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import Limits
from videoar.cluster.ground.files import check_folder, refuse_existing

Name = Literal[
    "attention",
    "train",
    "decode",
    "tokenizer",
    "size1",
    "machine",
    "sharding",
    "pipeline",
    "memory",
    "checkpoint",
    "cutting",
    "data_units",
    "data_overhead",
    "loader",
    "clips",
]

_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure one thing on this machine; ratios compare things that ran alternately in this call.

    attention: forward and backward by every backend, compared with PyTorch's causal attention over as many pairs; time,
    attended-pair FLOP/s, peak memory, and the difference from the reference.

    train: a whole training step, compared with Hugging Face's Llama of the same shape on a CPU, and eager with compiled
    on a GPU; tokens per second and MFU over attended pairs.

    decode: cached decoding of a clip, at batch 1 and 8: seconds per clip and per pass over a scale, compared with no
    cache (goal: at most 0.2 of its time) and with one that grows; the share of the time outside the model (goal: at
    most 0.05); the share of the tokenizer's decoding that is hidden; clips per second at growing batches.

    tokenizer: encoding and decoding of clips, whole and as streams, compared with a plain loop of their convolutions:
    pixels per second; the quantiser, compared with a loop over frames.

    size1: a step of the sharded engine in one process of torchrun (NCCL on a GPU), compared with the plain engine.

    machine: the rates of this device, measured and published, which floors are computed from; free memory.

    These six print a line for each case. All but machine also print the least time that FLOPs and bytes allow on this
    device (the floor), and the ratio to it.

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
    (goal: twice as many), and the share of time that a trainer with steps of one second waits for data (goal: 1 %).

    clips: training clips of a tokenizer per second (17 frames of 128x128), decoded from real films by 1 and by 2
    decoders, and cut from memory.
    """

    name: Positional[Annotated[Name, arg(metavar="NAME")]]
    """What to measure, by the names above."""
    json: bool = False
    """Print each result as a JSON line, for scripts."""
    output: Path | None = None
    """File to which the JSON lines are appended, with date and command; one that holds anything else is refused."""
    note: str = ""
    """Remark for these lines, for example that others use the machine."""
    size: Literal["toy", "cpu", "gpu"] | None = None
    """Set of cases of the first six: `toy` takes seconds. If not given: `gpu` where there is a GPU, otherwise `cpu`."""
    cases: tuple[str, ...] = ()
    """Cases to run, by name or shell pattern (`'2048*'`); all of the size if not given."""
    backends: tuple[str, ...] = ()
    """For attention: backends to compare; all that are known if not given."""
    repeats: Annotated[int, Limits(1, 10_000)] | None = None
    """For the first six: number of measured rounds, after one that is not counted; 5 if not given."""
    plot: Path | None = None
    """PNG or SVG file for a chart of the ratios to the floor, and of throughput over the batch; needs matplotlib."""
    force: bool = False
    """Replace the file of --plot if it exists."""


def bench(words: Sequence[str], prog: str) -> int:
    options = parse(Bench, words, prog)
    only_with(options, "output", *(["note"] if options.note else []))
    from videoar.benchmarks.run import OF_CASES, run

    _check_output(options.output)
    of_cases = options.name in OF_CASES
    if not of_cases:
        _refuse_options_of_cases(options)
    rows = _cases(options) if of_cases else iter([run(options.name)])
    found = []
    for row in rows:
        found.append(row)
        if options.output:
            _append(options.output, {"command": f"{prog} {shlex.join(words)}", "note": options.note, **row})
        if options.json:
            say(json.dumps(row))
    if of_cases:
        _show(options, found)
    elif not options.json:
        for field, value in _leaves(found[0]):
            say(f"{field}: {value}")
    return 1 if any("error" in row for row in found) else 0


def _refuse_options_of_cases(options: Bench) -> None:
    """InputError for an option that a benchmark without cases would ignore."""
    for name in ("size", "cases", "backends", "plot", "repeats"):
        _refuse(options, name)


def _refuse(options: Bench, name: str) -> None:
    if value := getattr(options, name):
        raise InputError(name, value, f"is not an option of {options.name}", "leave it out")


def _cases(options: Bench) -> Iterator[dict[str, Any]]:
    """The rows of a benchmark of cases, one by one."""
    from videoar.benchmarks.cases import Options, here
    from videoar.benchmarks.plot import check_plot
    from videoar.benchmarks.run import run_cases

    if options.plot:
        check_plot(options.plot)
        refuse_existing("plot", options.plot, force=options.force)
    if options.name != "attention":
        _refuse(options, "backends")
    size = options.size or ("gpu" if here().type == "cuda" else "cpu")
    chosen = Options(size=size, patterns=options.cases, repeats=options.repeats or _ROUNDS, backends=options.backends)
    return run_cases(options.name, chosen)


def _show(options: Bench, rows: Sequence[dict[str, Any]]) -> None:
    """The table, what did not run, and the chart."""
    from rich.console import Console

    from videoar.benchmarks.plot import plot
    from videoar.benchmarks.table import not_run, table

    machine, rounds = f"{rows[0]['device']}, {rows[0]['threads']} threads", options.repeats or _ROUNDS
    title = f"videoar bench {options.name}: {machine}, {rounds} rounds"
    if not options.json:
        console = Console()
        console.width = max(console.width, 160)  # a line longer than the terminal reads better than cut figures
        say(title)
        console.print(table(rows))
        for line in not_run(rows):
            say(line)
    if options.plot:
        plot(options.plot, title, rows)


def _check_output(path: Path | None) -> None:
    """InputError, before anything is measured, for a file that cannot be appended to or is not of JSON lines."""
    if path is None:
        return
    check_folder("output", path.parent)
    refuse_existing("output", path, force=True)
    try:
        with path.open() as file:
            is_ours = all(isinstance(json.loads(line), dict) for line in file)
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        is_ours = False
    if not is_ours:
        raise InputError("output", path, "is not a file of JSON lines", "name a new file, or that of earlier results")


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add one line at once: what is measured stays when a later case fails or is stopped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({"date": f"{datetime.date.today()}", **row}) + "\n")


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """(dotted name, value) of every number in a result; items of a list by index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [(path, value)]
    return [leaf for name, item in items for leaf in _leaves(item, f"{path}.{name}" if path else str(name))]
