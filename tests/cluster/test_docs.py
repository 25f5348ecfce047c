from __future__ import annotations

import importlib
import inspect
import re
import shlex
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from videoar.cluster.cli.arguments import own_flags, parse
from videoar.cluster.cli.command_table import COMMANDS, Command, find_command
from videoar.cluster.cli.commands.bench import Name
from videoar.cluster.cli.output import HELP
from videoar.cluster.ground.fields.overrides import override, split_flags
from videoar.configs.load import find_recipe, recipe_names

ROOT = Path(__file__).parents[2]
EQUATIONS = (ROOT / "docs/equations.md").read_text()
README = (ROOT / "README.md").read_text()
ABOUT = ("--version", "--print-completion")
"""Options of `videoar` itself, without a command."""
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))


def texts() -> Iterator[str]:
    """Everything that shows commands: the pages, and docstrings of recipes and of the commands' options."""
    yield from ((ROOT / page).read_text() for page in ("README.md", "CONTRIBUTING.md", *PAGES))
    yield from (inspect.getdoc(command.options) or "" for command in COMMANDS.values())
    for name in recipe_names():
        docstring = importlib.import_module(f"videoar.configs.{name}").__doc__ or ""
        yield re.sub(r"((?:^    .*\n)+)", r"```bash\n\1```\n", docstring, flags=re.MULTILINE)


def typed_lines() -> list[str]:
    """What follows `videoar` in lines of shell blocks, whatever starts it and wherever its output goes."""
    blocks = [block for text in texts() for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)]
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    bare = (re.sub(r"\s(?:#|[>|]|&&)\s.*", "", line) for line in lines)
    calls = (re.search(r"(?:^|.* )videoar(?:\.cluster\.entry)? (.+)", line) for line in bare)
    return sorted({call[1].strip() for call in calls if call and not call[1].startswith(ABOUT)})


def mentioned() -> list[str]:
    """The same between backticks in a sentence, where arguments may be left out."""
    return sorted({found for text in texts() for found in re.findall(r"`videoar ([^`\n]* [^`\n]*)`", text)})


def checked(line: str) -> tuple[Command, list[str]]:
    """The command of a line and its own words; flags that are not its own must be fields of the recipe."""
    name, words = find_command(shlex.split(line))
    assert name is not None
    command = COMMANDS[name]
    positional, flags = split_flags([word for word in words if word not in HELP])
    own = [flag for flag in flags if flag.replace("-", "_") in own_flags(command.options)]
    sent = COMMANDS[" ".join(flags.get("command", ["train"]))].options if name == "submit" else command.options
    passed = [flag for flag in flags if flag.replace("-", "_") in own_flags(sent)]
    if fields := {flag: values for flag, values in flags.items() if flag not in (*own, *passed)}:
        stand_in = "tokenizer_demo_images" if name == "tokenizer train" else "debug"
        is_recipe = positional[0].partition("@")[0] in recipe_names()
        override(find_recipe(positional[0] if is_recipe else stand_in), fields)
    return command, [*positional, *(word for flag in own for word in (f"--{flag}", *flags[flag]))]


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


@pytest.mark.parametrize("line", typed_lines())
def test_a_line_of_the_docs_can_be_typed(line: str) -> None:
    """The first thing a newcomer does is to paste a line; a renamed option or field would be what he meets."""
    command, words = checked(line)
    parse(command.options, words, "videoar")


@pytest.mark.parametrize("line", mentioned())
def test_a_command_in_a_sentence_exists(line: str) -> None:
    """A sentence that names an option which is gone sends a reader looking for it."""
    checked(line)


def test_commands_are_found_in_every_kind_of_text() -> None:
    """A pattern that finds nothing would let every renamed option pass."""
    found = typed_lines()
    assert {"doctor", "data stats shards/debug", "train ucf101_l --data.url shards/ucf101 --processes 8"} <= {*found}
    assert any(line.endswith("--parallel.context 2 --parallel.zero-stage 1") for line in found), "after torchrun"
    assert any("--data.datasets.ucf101_test.source.path" in line for line in found), "continued lines"
    assert "tokenizer evaluate tiny clips/" in mentioned()


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


def test_the_navigation_of_the_site_names_every_page() -> None:
    """`make docs` refuses a page without a place; this says so within a second."""
    named = set(re.findall(r"\b[\w/]+\.md\b", (ROOT / "mkdocs.yml").read_text()))
    assert {page.removeprefix("docs/") for page in PAGES} <= named


def test_the_path_of_a_clip_leads_through_files_that_exist() -> None:
    """A newcomer opens these files first."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Find your way")[1].split("\n## ")[0]
    named = re.findall(r"`((?:cluster|configs|data_pipeline|pretrain|tokenizer)/[\w/.]*)`", text)
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_citation_is_that_of_this_version() -> None:
    """A citation manager reads this file; a forgotten version cites other code."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    bibtex = README.split("## Citing")[1].replace("\\&", "&")
    assert all(f"{{{title}}}" in bibtex for title in (cited["title"], cited["references"][0]["title"]))
    assert f"{{{cited['version']}}}" in bibtex


def test_plug_in_authors_find_their_module() -> None:
    """What a plug-in imports is a public name: the pages must name the module that there is."""
    module = importlib.import_module("videoar.data_pipeline.planning.plugins")
    for name in re.findall(r"`(Clip[A-Z]\w+)`", (ROOT / "docs/data.md").read_text()):
        assert hasattr(module, name)
    assert all(
        "videoar.data_pipeline.planning.plugins" in (ROOT / page).read_text() for page in ("README.md", "docs/data.md")
    )
