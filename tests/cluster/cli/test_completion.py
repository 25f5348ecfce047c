from __future__ import annotations

import re
import subprocess

import pytest

from videoar.cluster.cli.completion import SHELLS
from videoar.cluster.entry import main

ASK = """
words=($2)
COMP_WORDS=("${words[@]}"); COMP_CWORD=$((${#words[@]} - 1)); COMPREPLY=()
eval "$1"
$(complete -p videoar | sed 's/.*-F \\([^ ]*\\).*/\\1/')
echo "${COMPREPLY[@]}"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "completed"),
    [("videoar tr", "train"), ("videoar data r", "run"), ("videoar train --proc", "--processes")],
)
def test_bash_completes_commands_and_options(typed: str, completed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person types first in a shell: the beginning of a command and the tabulator key."""
    assert main(["--print-completion", "bash"]) == 0
    script = capsys.readouterr().out
    done = subprocess.run(["bash", "-c", ASK, "bash", script, typed], capture_output=True, text=True)
    assert done.stdout.split() == [completed], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_of_the_core_requirements(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """tyro makes scripts of some shells with a library that no extra of ours brings."""
    assert main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    table = next(line for line in script.splitlines() if line.startswith("COMPLETION_SPEC = "))
    assert "'--processes'" in table
    assert not re.search(r"\\\s|\\n", table)


def test_the_version_is_printed_and_an_unknown_shell_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A report of a defect begins with the version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("videoar ")
    assert main(["--print-completion", "tcsh"]) == 2
    assert "use one of: bash, zsh, fish" in capsys.readouterr().err
