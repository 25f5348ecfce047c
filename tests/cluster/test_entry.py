from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from videoar.cluster.cli.command_table import COMMANDS
from videoar.cluster.entry import EXIT_UNREAD, main


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "videoar.cluster.entry", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "60"})


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("confgi", "COMMAND=confgi: is not a command; did you mean config?"),
        ("config debgu", "RECIPE=debgu: is not a recipe in configs/, or a .yaml or .py file; did you mean debug?"),
        ("plan", "RECIPE: is missing; see videoar plan --help"),
        ("status", "JOB: is missing; see videoar status --help"),
        ("submit debug --run x", "to: is missing; use one of slurm, ray, kubernetes, and see videoar submit --help"),
        ("config debug extra", "arguments=debug extra: Unrecognized options: extra; see videoar config --help"),
        ("train debug --parallel.tensr 2", "--parallel.tensr=2: is not a field; did you mean --parallel.tensor?"),
        ("train debug --proceses 2", "--proceses=2: is not a field; did you mean --processes?"),
        ("train debug --processes two", "processes=two: is not a whole number; see videoar train --help"),
        ("train debug --processes 0", "processes=0: is below 1; use 1 or more"),
        ("train debug --run", "run: needs a value; see videoar train --help"),
        ("train debug --precision fp8", "precision=fp8: is not one of float32, bf16; correct the value"),
        ("train debug --stages.video.batch 0", "stages.video.batch=0: is below 1; use 1 or more"),
        (
            "train debug --run /dev/null/x",
            "run=/dev/null/x: cannot be made (/dev/null is not a folder); give a folder that you",
        ),
        ("export nowhere", "OUT: is missing; see videoar export --help"),
        ("export nowhere out --step x", "step=x: is not a whole number; see videoar export --help"),
        ("export nowhere out --stp 3", "--stp=3: is not an option; did you mean --step?"),
        ("export nowhere out", "run=nowhere: holds no config.yaml; give the folder that `videoar train --run` wrote"),
        ("generate nowhere", "weights=nowhere: holds no config.json; give a folder that `videoar export` wrote"),
        ("generate nowhere --seconds 0", "seconds=0.0: is not above 0; use a number above 0"),
        ("generate nowhere --top-p", "top-p: needs a value; see videoar generate --help"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(words: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback, a box of five lines or exit code 1 hides from a script and a person what they have to mend."""
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.slow
def test_a_reader_that_is_gone_has_one_exit_code() -> None:
    """1 means that a check failed, and 120 is Python's: `set -o pipefail` could not tell them apart."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "videoar.cluster.entry"]
    for words in ("--help", "config --help", "config debug"):
        done = subprocess.run([*command, *words.split()], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (EXIT_UNREAD, "")
    os.close(write)


@pytest.mark.slow
def test_an_output_that_is_closed_is_no_fault() -> None:
    """`>&-` left Python without a stream: a traceback, and exit code 1 from a machine on which all is well."""
    for closed in (">&-", ">&- 2>&-"):
        script = f'"{sys.executable}" -m videoar.cluster.entry config debug {closed}; echo $?'
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("0\n", "")


def test_the_same_holds_for_the_process(tmp_path: Path) -> None:
    """What torchrun, Slurm and shells see is the process: its code, and stderr without noise of libraries."""
    done = run("config", "debug", "--model.width", "very wide indeed, wider than the terminal is")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("model.width=very wide indeed")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option without a word of help is one that only its author can use."""
    with pytest.raises(SystemExit) as stop:
        main([*name.split(), "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: videoar {name}")
    assert (COMMANDS[name].options.__doc__ or "").split(".")[0].split(",")[0][:40] in " ".join(shown.split())


def test_every_option_has_help() -> None:
    """The docstring of a field is its help; one that is missing shows as an empty line."""
    for name, known in COMMANDS.items():
        command = known.options
        source = Path(sys.modules[command.__module__].__file__ or "").read_text()
        body = re.split(rf"class {command.__name__}\b", source)[1].split("\ndef ")[0].split("\n@dataclass")[0]
        lines = body.split('"""', 2)[2].splitlines()  # after the docstring of the command itself
        for index, line in enumerate(lines):
            if line.startswith("    ") and ": " in line and line.strip().split(":")[0].isidentifier():
                assert lines[index + 1].strip().startswith('"""'), f"{name}: {line.strip()}"


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The first thing a newcomer types."""
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


HEAVY = ("torch", "numpy", "pyarrow", "ray", "av", "rich.progress", "tyro", "yaml")

WALK = f"""
import contextlib, io, sys
from videoar.cluster.entry import EXIT_UNREAD, main
for words in sys.argv[1:]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(words.split())
    print(words, *[name for name in {HEAVY} if name in sys.modules], sep="|")
"""


def test_help_imports_little() -> None:
    """Help that imports torch takes seconds, and people stop asking for it: each command adds what it needs itself."""
    asked = (
        "--help",
        "data",
        "tokenizer --help",
        "train --help",
        "config debug",
        "train debug --help",
        "data run --help",
    )
    done = subprocess.run([sys.executable, "-c", WALK, *asked], capture_output=True, text=True, check=True)
    imported = {line.split("|")[0]: set(line.split("|")[1:]) for line in done.stdout.splitlines()}
    assert list(imported) == list(asked)
    assert imported["--help"] == imported["data"] == imported["tokenizer --help"] == set()
    assert imported["data run --help"] <= {"tyro", "yaml"}


def test_the_help_of_a_recipe_lists_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """`train debug --help` is the reference of what can be overridden."""
    with pytest.raises(SystemExit):
        main(["train", "debug", "--help"])
    shown = capsys.readouterr().out
    assert "--stages.2.tokens-per-pack" in shown
    assert "--processes" in shown
