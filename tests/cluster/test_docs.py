from __future__ import annotations

import importlib
import re
import shlex
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from videoar.cluster.cli.arguments import own_flags
from videoar.cluster.cli.command_table import COMMANDS, find_command
from videoar.cluster.cli.commands.bench import Name
from videoar.cluster.ground.overrides import override, split_flags
from videoar.configs.load import find_recipe

ROOT = Path(__file__).parents[2]
EQUATIONS = (ROOT / "docs/equations.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))


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
    sent = COMMANDS["train"].options  # the command of `submit`, to which the other options belong
    known = own_flags(COMMANDS[name].options) + (own_flags(sent) if name == "submit" else ())
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
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES):
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_the_readme_names_every_page_bench_and_folder() -> None:
    """A page or a benchmark that the table leaves out is found by nobody."""
    table = README.split("| Folder | What |")[1].split("\n\n")[0]
    assert all(f"({page})" in table for page in PAGES)
    assert all(f"`{name}`" in table or f" {name}`" in table for name in typing.get_args(Name))
    packages = {path.parent.relative_to(ROOT) for path in ROOT.glob("*/__init__.py")}
    rooms = {path.parent.relative_to(ROOT) for folder in packages for path in (ROOT / folder).glob("*/__init__.py")}
    assert packages
    assert not [folder for folder in packages if f"`{folder}/`" not in table]
    assert not [room for room in rooms if f"`{room.name}/`" not in table]


def test_the_path_of_a_clip_leads_through_files_that_exist() -> None:
    """A newcomer opens these files first."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Find your way")[1].split("\n## ")[0]
    named = re.findall(r"`((?:cluster|configs|data_pipeline|pretrain|tokenizer)/[\w/.]*)`", text)
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).exists()]


def test_plug_in_authors_find_their_module() -> None:
    """What a plug-in imports is a public name: the pages must name the module that there is."""
    module = importlib.import_module("videoar.data_pipeline.planning.plugins")
    for name in re.findall(r"`(Clip[A-Z]\w+)`", (ROOT / "docs/data.md").read_text()):
        assert hasattr(module, name)
    assert all(
        "videoar.data_pipeline.planning.plugins" in (ROOT / page).read_text() for page in ("README.md", "docs/data.md")
    )
