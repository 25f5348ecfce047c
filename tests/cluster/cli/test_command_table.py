from __future__ import annotations

import ast
import importlib
import inspect
import signal
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from videoar.cluster.cli.command_table import COMMANDS, find_command, is_group, overview
from videoar.cluster.ground.errors import InputError

KEEPS = {"evaluate world", "evaluate bits", "evaluate drift", "evaluate recovery", "tokenizer evaluate"}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_entry_of_the_table_leads_to_its_command(name: str) -> None:
    """Modules are found by name when a command runs: a typing error in the table would be found by a user."""
    command = COMMANDS[name]
    documented = (inspect.getdoc(command.options) or "").split("\n")[0]
    assert command.summary
    assert command.summary[-1] not in ":,;", "a sentence that goes on in the next line"
    assert documented.startswith(command.summary)
    module = inspect.getmodule(command.options)
    assert callable(getattr(module, command.module.rpartition(".")[2]))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["data", "run", "debug"], ("data run", ["debug"])),
        (["train", "debug"], ("train", ["debug"])),
        (["data", "--help"], (None, ["data"])),
        ([], (None, [])),
    ],
)
def test_the_first_words_name_the_command(words: list[str], found: tuple[str | None, list[str]]) -> None:
    """`data run debug` is one command of two words, `train debug` one of one; a group alone is a question."""
    assert find_command(words) == found


def test_an_unknown_command_names_its_neighbour() -> None:
    """`videoar data pln` must name `data plan`, and `videoar xyz` all commands."""
    with pytest.raises(InputError, match="COMMAND=data pln: is not a command; did you mean data plan"):
        find_command(["data", "pln"])
    with pytest.raises(InputError, match="use one of: doctor, demo"):
        find_command(["xyzzy"])


def test_the_overview_of_a_group_has_its_commands_only() -> None:
    """`videoar data` is typed to choose among its commands."""
    shown = overview(["data"])
    assert is_group("data")
    assert not is_group("train")
    assert [name for name in COMMANDS if f"  {name} " in shown] == [
        name for name in COMMANDS if name.startswith("data ")
    ]


def test_summaries_are_read_and_not_imported() -> None:
    """The table must not import a command: that is what keeps the first help fast."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(find_command)))  # type: ignore[arg-type]
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in imported if name and name.startswith("videoar.cluster.cli.commands")]


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ([], set()),
        (["--keep", "rows"], KEEPS),
        (["weights", "--keep=rows"], KEEPS),
        (["real", "made", "--features", "kept"], {"evaluate fvd"}),
        (["weights", "--prompts", "prompts.txt"], {"generate"}),
    ],
)
def test_a_command_that_resumes_listens_before_its_module_is_imported(
    words: list[str], extra: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to stop in its first tenths of a second, `train` ended with 143, and no scheduler queued it again."""
    heard = dict.fromkeys(COMMANDS, False)

    def module_of(name: str) -> Callable[[str], SimpleNamespace]:
        def imported(module: str) -> SimpleNamespace:
            heard[name] = getattr(signal.getsignal(signal.SIGTERM), "__name__", "") == "leave"
            return SimpleNamespace(**{module.rpartition(".")[2]: lambda words, prog: 0})

        return imported

    before = signal.getsignal(signal.SIGTERM)
    for name, command in COMMANDS.items():
        monkeypatch.setattr(importlib, "import_module", module_of(name))
        assert command.run(words, f"videoar {name}") == 0
    always = {name for name in COMMANDS if COMMANDS[name].resumes}
    assert {name for name in heard if heard[name]} == always | extra
    assert heard["train"]
    assert not heard["export"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_option_with_which_a_command_resumes_is_one_of_its_own() -> None:
    """An option that was renamed would leave the command without handlers."""
    named = {name: command for name, command in COMMANDS.items() if command.resumes_with}
    assert len(named) == len(KEEPS) + 2
    for command in named.values():
        assert command.resumes_with.removeprefix("--") in command.options.__dataclass_fields__
