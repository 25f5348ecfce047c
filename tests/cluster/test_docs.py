from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from videoar.cluster.cli.arguments import own_flags
from videoar.cluster.cli.command_table import COMMANDS, find_command
from videoar.cluster.ground.overrides import override, split_flags
from videoar.configs.load import find_recipe

ROOT = Path(__file__).parents[2]
EQUATIONS = (ROOT / "docs/equations.md").read_text()
README = (ROOT / "README.md").read_text()


def commands() -> Iterator[str]:
    """The lines of README's shell blocks that call us."""
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL):
        yield from (line for line in block.splitlines() if line.startswith("videoar "))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:tokenizer|pretrain)[\w.]*:[\w.]+)`", EQUATIONS))))
def test_a_function_of_the_table_exists(name: str) -> None:
    """A reader follows the table from the paper into the code."""
    module, _, path = name.partition(":")
    found = importlib.import_module(f"videoar.{module}")
    for part in path.split("."):
        found = getattr(found, part)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", EQUATIONS))))
def test_a_test_of_the_table_exists(name: str) -> None:
    """An equation whose test has been renamed away looks tested and is not."""
    path, _, function = name.partition("::")
    assert re.search(rf"^def {function}\(", (ROOT / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_command_of_the_readme_exists(line: str) -> None:
    """The first thing a newcomer does is to paste a line from the README."""
    name, words = find_command(shlex.split(line, comments=True)[1:])
    assert name is not None
    known = own_flags(COMMANDS[name].options)
    positional, flags = split_flags(words)
    fields = {flag: values for flag, values in flags.items() if flag.replace("-", "_") not in known}
    if fields:
        override(find_recipe(positional[0]), fields)


def test_make_targets_of_the_docs_exist() -> None:
    """`make demo` and `make test` are the two commands that the README promises."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= targets


def test_links_of_the_docs_lead_somewhere() -> None:
    """A dead link in the first screen is what a visitor remembers."""
    for page in ("README.md", "CONTRIBUTING.md", "docs/equations.md", "docs/layouts.md", "docs/recipes.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
