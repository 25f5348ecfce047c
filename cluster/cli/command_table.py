"""The commands of `videoar` by name, and what the first words of a command line mean."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from videoar.cluster.cli.arguments import HELP
from videoar.cluster.cli.commands import (
    bench,
    config,
    data,
    demo,
    diagnose,
    doctor,
    export,
    generate,
    text,
    tokenizer,
    train,
)
from videoar.cluster.ground.errors import InputError

Run = Callable[[Sequence[str], str], int]

COMMANDS: dict[str, tuple[Run, type]] = {
    "doctor": (doctor.doctor, doctor.Doctor),
    "demo": (demo.demo, demo.Demo),
    "config": (config.config, config.Config),
    "data plan": (data.plan, data.PlanData),
    "data run": (data.run, data.RunData),
    "data text": (text.text, text.TextOfData),
    "data stats": (data.stats, data.StatsData),
    "data verify": (data.verify, data.VerifyData),
    "data gc": (data.gc, data.GcData),
    "data inspect": (data.inspect, data.InspectData),
    "tokenizer train": (tokenizer.train, tokenizer.TrainTokenizer),
    "tokenizer import": (tokenizer.import_weights, tokenizer.ImportTokenizer),
    "tokenizer evaluate": (tokenizer.evaluate, tokenizer.EvaluateTokenizer),
    "tokenizer reconstruct": (tokenizer.reconstruct, tokenizer.Reconstruct),
    "train": (train.train, train.Train),
    "diagnose": (diagnose.diagnose, diagnose.Diagnose),
    "export": (export.export, export.Export),
    "generate": (generate.generate, generate.Generate),
    "bench": (bench.bench, bench.Bench),
}
"""Each command: what runs it, and the dataclass whose docstring describes it."""


def find_command(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The command that the first words name and the words after it; no command but a group where help is wanted."""
    for count in (2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in COMMANDS:
            return name, list(words[count:])
    if not words or words[0] in HELP:
        return None, []
    if is_group(words[0]) and (len(words) == 1 or words[1] in HELP):
        return None, list(words[:1])
    raise _unknown(" ".join(words[:2] if is_group(words[0]) else words[:1]))


def is_group(word: str) -> bool:
    """`data` and `tokenizer` stand before several commands."""
    return any(name.startswith(f"{word} ") for name in COMMANDS)


def overview(group: Sequence[str] = ()) -> str:
    """The commands, of one group or all, each with its first sentence."""
    rows = [(name, _sentence(kind)) for name, (_, kind) in COMMANDS.items() if not group or name.split()[0] == group[0]]
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {sentence}" for name, sentence in rows]
    usage = " ".join(["videoar", *group, "COMMAND"])
    return "\n".join(
        [
            f"usage: {usage} [--help]",
            "",
            "Pretraining of a bitwise, next-frame and next-scale video generator: clips in, weights and video out.",
            "",
            *lines,
            "",
            f"`{usage} --help` explains a command.",
            "Exit codes: 0 done, 1 failed, 2 wrong input, 75 saved after a signal (run it again).",
            "",
        ]
    )


def _sentence(kind: type) -> str:
    return (kind.__doc__ or "").split("\n")[0].split(". ")[0].rstrip(".")


def _unknown(name: str) -> InputError:
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"use one of: {', '.join(COMMANDS)}"
    return InputError("COMMAND", name, "is no command", remedy)
