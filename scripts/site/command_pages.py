"""A page for each command, from the dataclass of its options: what `--help` prints, for reading."""

from __future__ import annotations

import inspect
import re

from docstrings import from_docstring, table
from fields import Field, definitions, fields_of

from videoar.cluster.cli.command_table import COMMANDS, Command

EXIT_CODES = (
    (0, "done"),
    (1, "failed: the requested result was not produced"),
    (2, "the input is wrong: one line with the field, its value and the remedy"),
    (75, "saved after a signal: run the same command again"),
)

_CHOICE = re.compile(r"(?<=\n\n)([a-z]\w+):", re.MULTILINE)
"""A value of an argument, at the start of the paragraph that explains it."""


def command_pages() -> dict[str, str]:
    """Markdown by the page's place below docs/."""
    pages = {place(name): _page(name, command) for name, command in COMMANDS.items()}
    return {"commands/index.md": _overview(), **pages}


def place(name: str) -> str:
    """Where the page of a command is."""
    return f"commands/{name.replace(' ', '_')}.md"


def _overview() -> str:
    rows = [(f"[`videoar {name}`]({place(name)[9:]})", command.summary) for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "# Commands\n",
            "Every command explains itself with `--help`; these pages are made from the same texts.\n",
            table(("Command", "What it does"), rows),
            "## Exit codes\n",
            table(("Code", "Meaning"), EXIT_CODES),
            "Commands that take a RECIPE accept [every field](../fields.md) of it as an option, for example",
            "`--model.width 128`, `--stages.video.steps 4` or `--data.datasets.clips64.source.path clips/`.",
        ]
    )


def _page(name: str, command: Command) -> str:
    fields = list(fields_of(command.options))
    given = [field for field in fields if field.is_positional]
    options = [field for field in fields if not field.is_positional]
    takes_fields = any(field.name == "recipe" for field in given) and _overrides(command)
    parts = [
        f"# videoar {name}\n",
        from_docstring(_CHOICE.sub(r"**`\1`**:", inspect.getdoc(command.options) or "")),
        f"```text\n{_usage(name, given, options, takes_fields=takes_fields)}\n```\n",
        *_section("Arguments", given),
        *_section("Options", options),
    ]
    if takes_fields:
        parts += [
            f"Every field of the recipe is an option as well: [all fields](../fields.md), "
            f"or `videoar {name} RECIPE --help`.\n"
        ]
    return "\n".join(parts)


def _overrides(command: Command) -> bool:
    """Whether fields of a recipe are options of the command, too."""
    module = inspect.getmodule(command.options)
    return hasattr(module, "parse_with_recipe")


def _usage(name: str, given: list[Field], options: list[Field], *, takes_fields: bool) -> str:
    words = ["videoar", name, *(field.flag for field in given), *["[OPTIONS]"] * bool(options)]
    return " ".join([*words, *["[--FIELD VALUE ...]"] * takes_fields])


def _section(title: str, fields: list[Field]) -> list[str]:
    return [f"## {title}\n", definitions(fields, as_options=True)] if fields else []
