"""The commands of `videoar` by name, and what the first words of a command line mean.

A command's module is imported when it runs. Its summary is read from the source of its options class, so that
`videoar --help` imports none of them.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videoar.cluster.cli.output import HELP, resume_line
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.processes.preemption import leaving_at_once

_PACKAGE = "videoar.cluster.cli.commands"


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is defined."""

    module: str
    """Module below `commands`; the function that runs the command has the name of its last part."""
    options_class: str
    """Dataclass of the options in that module; its docstring describes the command."""
    resumes: bool = False
    """Whether rerunning the same command always resumes. A signal then ends it with exit code 75 as soon as its module
    is being imported."""
    resumes_with: str = ""
    """The option with which the command resumes, such as `--keep`; empty if it always or never resumes."""

    def run(self, words: Sequence[str], prog: str) -> int:
        """Run the command on the words after its name; the exit code. `prog` is its name in messages."""
        if not self._resumes_on(words):
            return self._run(words, prog)
        with leaving_at_once(resume_line([*prog.split()[1:], *words])):
            return self._run(words, prog)

    def _resumes_on(self, words: Sequence[str]) -> bool:
        """Whether the command resumes with these words. They are not parsed, because that would import its module."""
        return self.resumes or any(word.partition("=")[0] == self.resumes_with for word in words if self.resumes_with)

    def _run(self, words: Sequence[str], prog: str) -> int:
        module = importlib.import_module(f"{_PACKAGE}.{self.module}")
        code: int = getattr(module, self.module.rpartition(".")[2])(words, prog)
        return code

    @property
    def options(self) -> type:
        """The dataclass of the options, imported."""
        found: type = getattr(importlib.import_module(f"{_PACKAGE}.{self.module}"), self.options_class)
        return found

    @property
    def summary(self) -> str:
        """The first sentence of the options class, without importing it."""
        source = (Path(__file__).parent / "commands" / Path(*self.module.split("."))).with_suffix(".py")
        classes = (node for node in ast.parse(source.read_bytes()).body if isinstance(node, ast.ClassDef))
        docstring = next(ast.get_docstring(node) for node in classes if node.name == self.options_class)
        return (docstring or "").split("\n")[0].split(". ")[0].rstrip(".")


COMMANDS = {
    "doctor": Command("doctor", "Doctor"),
    "demo": Command("demo", "Demo"),
    "selfcheck": Command("selfcheck", "SelfCheckCommand"),
    "init": Command("init", "Init"),
    "config": Command("config", "Config"),
    "plan": Command("plan", "PlanRecipe"),
    "data plan": Command("data.plan", "PlanData"),
    "data run": Command("data.run", "RunData", resumes=True),
    "data text": Command("data.text", "TextOfData"),
    "data stats": Command("data.stats", "StatsData"),
    "data verify": Command("data.verify", "VerifyData"),
    "data gc": Command("data.gc", "GcData"),
    "data inspect": Command("data.inspect", "InspectData"),
    "tokenizer train": Command("tokenizer.train", "TrainTokenizer", resumes=True),
    "tokenizer import": Command("tokenizer.import_weights", "ImportTokenizer"),
    "tokenizer evaluate": Command("tokenizer.evaluate", "EvaluateTokenizer", resumes_with="--keep"),
    "tokenizer scenes": Command("tokenizer.scenes", "MeasureScenes"),
    "tokenizer reconstruct": Command("tokenizer.reconstruct", "Reconstruct"),
    "train": Command("train", "Train", resumes=True),
    "diagnose": Command("diagnose", "Diagnose"),
    "report": Command("report", "Report"),
    "export": Command("export", "Export"),
    "push": Command("push", "Push"),
    "generate": Command("generate", "Generate", resumes_with="--prompts"),
    "serve": Command("serve", "Serve"),
    "evaluate world": Command("evaluate.world", "EvaluateWorld", resumes_with="--keep"),
    "evaluate bits": Command("evaluate.bits", "EvaluateBits", resumes_with="--keep"),
    "evaluate drift": Command("evaluate.drift", "EvaluateDrift", resumes_with="--keep"),
    "evaluate recovery": Command("evaluate.recovery", "EvaluateRecovery", resumes_with="--keep"),
    "evaluate fvd": Command("evaluate.fvd", "EvaluateFvd", resumes_with="--features"),
    "evaluate class-samples": Command("evaluate.class_samples", "ClassSamples", resumes=True),
    "evaluate vbench-export": Command("evaluate.vbench_export", "VbenchExport", resumes=True),
    "evaluate vbench-score": Command("evaluate.vbench_score", "VbenchScore"),
    "study": Command("study", "RunStudy", resumes=True),
    "bench": Command("bench", "Bench"),
    "submit": Command("submit", "Submit"),
    "status": Command("status", "JobStatus"),
    "logs": Command("logs", "Logs"),
    "cancel": Command("cancel", "Cancel"),
}
"""Every command by the words that name it."""


def find_command(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The command that the first words name, and the words after it; None if help on all or on a group is wanted."""
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
    """Whether a word is the first of several commands, as `data` and `tokenizer` are."""
    return any(name.startswith(f"{word} ") for name in COMMANDS)


def overview(group: Sequence[str] = ()) -> str:
    """The commands, of one group or all, each with its first sentence."""
    shown = {name: command for name, command in COMMANDS.items() if not group or name.split()[0] == group[0]}
    width = max(len(name) for name in shown)
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in shown.items()]
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
            "--quiet after any command shows only warnings and errors; --log-level sets debug, info, warning or error.",
            "--version prints the version, --print-completion bash (or zsh, fish) a script that completes commands.",
            "Exit codes: 0 done, 1 failed, 2 wrong input, 75 saved after a signal (run it again).",
            "",
        ]
    )


def _unknown(name: str) -> InputError:
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"use one of: {', '.join(COMMANDS)}"
    return InputError("COMMAND", name, "is not a command", remedy)
