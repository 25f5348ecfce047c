"""Links from the pages to the source: what they name in the repository becomes a page of this site."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath

from docstrings import outside_of_code
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

ROOT = Path(__file__).resolve().parents[2]
INCLUDED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "tokenizer/weights/demo/README.md": "recipes/demo_tokenizer.md",
    "tokenizer/weights/world/README.md": "recipes/world_tokenizer.md",
    "pretrain/weights/small-world/README.md": "recipes/small_world_weights.md",
}
"""Files outside of docs/ that are pages, with their place below it."""

_LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")
_CODE = re.compile(r"(?<!\[)`([\w./]+\.(?:py|sh)(?:::\w+)?|\w[\w.]*:\w[\w.]*)`(?!\])")


def origin_of(page: str) -> str:
    """The file in the repository whose text a page has."""
    return next((source for source, place in INCLUDED.items() if place == page), f"docs/{page}")


def linked(text: str, page: str) -> str:
    """The text of a page, whose links and names of files lead to pages of the site."""

    def change(part: str) -> str:
        part = _LINK.sub(lambda found: f"]({_link(found[1], page)}{found[2] or ''})", part)
        return _CODE.sub(partial(_named, page=page), part)

    return outside_of_code(text, change)


def sources_in(texts: dict[str, str]) -> set[str]:
    """Files and folders of the repository, outside of docs/, that these pages name or link to."""
    found = set()
    for page, text in texts.items():
        outside_of_code(text, lambda part, page=page: found.update(_targets(part, page)) or part)  # type: ignore[misc]
    return found


def source_page(path: str) -> str:
    """Where the page of a file or a folder is."""
    return f"source/{path}/index.md" if (ROOT / path).is_dir() else f"source/{path}.md"


def source_text(path: str) -> str:
    """Markdown of such a page; of a file only the heading, `source_html` has the rest."""
    heading = f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n"
    if not (ROOT / path).is_dir():
        return heading
    names = sorted(child.name for child in (ROOT / path).iterdir() if child.is_file())
    return heading + "\n" + "\n".join(f"- [{name}]({name}.md)" for name in names) + "\n"


def files_below(paths: Iterable[str]) -> set[str]:
    """The files in those of the paths that are folders."""
    folders = (ROOT / path for path in paths if (ROOT / path).is_dir())
    return {str(child.relative_to(ROOT)) for folder in folders for child in folder.iterdir() if child.is_file()}


def source_html(path: str) -> tuple[str, set[str]]:
    """The lines of a file, coloured, and the anchors of the lines."""
    text = (ROOT / path).read_text()
    try:
        lexer = get_lexer_for_filename(path)
    except ClassNotFound:
        lexer = TextLexer()
    shown = highlight(text, lexer, HtmlFormatter(cssclass="highlight source", linespans="L", wrapcode=True))
    shown = shown.replace('<span id="L-', '<span id="L')
    return shown, set(re.findall(r'<span id="(L\d+)"', shown))


def _targets(text: str, page: str) -> set[str]:
    names = {_in_repository(found[1], page) for found in _LINK.finditer(text)}
    names |= {_file_of(found[1]) for found in _CODE.finditer(text)}
    inside = (name for name in names if name and not name.startswith("docs/") and name not in INCLUDED)
    return {name for name in inside if (ROOT / name).exists()}


def _in_repository(target: str, page: str) -> str:
    """What a link of a page means in the repository."""
    return os.path.normpath(PurePosixPath(origin_of(page)).parent / target)


def _link(target: str, page: str) -> str:
    """A link of a page, as one between pages of the site."""
    path = _in_repository(target, page)
    if path in INCLUDED:
        place = INCLUDED[path]
    elif path.startswith("docs/"):
        place = path.removeprefix("docs/")
    else:
        place = source_page(path)
    return os.path.relpath(place, PurePosixPath(page).parent)


def _file_of(name: str) -> str:
    """The file that `a/b.py`, `tests/a.py::test` or `a.b:function` names; empty if there is none."""
    path = name.partition("::")[0]
    if "::" not in name and ":" in name:
        path = name.partition(":")[0].replace(".", "/") + ".py"
    return path if "/" in path and (ROOT / path).is_file() else ""


def _named(found: re.Match[str], page: str) -> str:
    """A name in the text as a link to its line."""
    path = _file_of(found[1])
    if not path:
        return found[0]
    _, _, inner = found[1].rpartition(":")
    line = _line_of(path, inner) if ":" in found[1] else 0
    target = os.path.relpath(source_page(path), PurePosixPath(page).parent)
    shown = re.sub(r"(::|[./:_])", r"\1<wbr>", found[1])
    return f"[<code>{shown}</code>]({target}{f'#L{line}' if line else ''})"


def _line_of(path: str, name: str) -> int:
    """The line at which a function, class or method is defined; 0 if the file has none of that name."""
    body: list[ast.stmt] = ast.parse((ROOT / path).read_text()).body
    line = 0
    for part in name.split("."):
        node = next((item for item in body if getattr(item, "name", "") == part), None)
        if node is None:
            return line
        line, body = node.lineno, getattr(node, "body", [])
    return line
