"""The pages of the site that are not in docs/: made from the code whenever mkdocs builds, so they cannot go stale.

mkdocs calls `on_config`, `on_files`, `on_page_markdown` and `on_page_content`, in this order (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from api_pages import api_pages
from command_pages import command_pages
from field_pages import field_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from names import names, with_links
from recipe_pages import recipe_pages
from source_pages import INCLUDED, ROOT, files_below, linked, source_html, source_page, source_text, sources_in

_PICTURE = re.compile(r"!\[([^\]]*)\]\((?:docs/)?(images/[\w-]+\.svg)\)")


@event_priority(100)  # before mkdocstrings looks for the packages
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the pages, and put them into the navigation where it has the name of their folder."""
    pages = {**command_pages(), **field_pages(), **recipe_pages(), **api_pages()}
    pages |= {place: (ROOT / path).read_text() for path, place in INCLUDED.items()}
    config.extra |= {"made": pages, "names": names()}
    _gather_packages(ROOT / "build" / "api" / "videoar")
    config.nav = _expanded(config.nav, list(pages))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them, and the pages of the source that any page names."""
    made: dict[str, str] = dict(config.extra["made"])
    written = {file.src_uri: file.content_string for file in files.documentation_pages()}
    sources = sources_in({**made, **written})
    for path in sorted(sources | files_below(sources)):
        made[source_page(path)] = source_text(path)
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links lead to pages; pictures are part of the page, where they take its colours."""
    docs = Path(config.docs_dir)
    text = _PICTURE.sub(lambda found: _picture(found[1], docs / found[2]), markdown)
    return with_links(linked(text, page.file.src_uri), page.file.src_uri, config.extra["names"])


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The lines of a source file follow its heading."""
    path = page.file.src_uri.removeprefix("source/").removesuffix(".md")
    if path == page.file.src_uri.removesuffix(".md") or not (ROOT / path).is_file():
        return html
    lines, anchors = source_html(path)
    page.present_anchor_ids = (page.present_anchor_ids or set()) | anchors
    return html + lines


def _gather_packages(folder: Path) -> None:
    """Links to our packages below one folder of their name, as mkdocstrings looks for `videoar`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").touch()  # nothing else on the path belongs to it
    for package in ROOT.glob("*/__init__.py"):
        link = folder / package.parent.name
        if not link.is_symlink() or link.readlink() != package.parent:
            link.unlink(missing_ok=True)
            link.symlink_to(package.parent)


def _expanded(nav: Any, made: list[str]) -> Any:
    """The navigation with `folder/` replaced by the pages that were made in that folder."""
    if isinstance(nav, dict):
        return {title: _expanded(part, made) for title, part in nav.items()}
    if isinstance(nav, list):
        return [item for part in nav for item in _pages(part, made)]
    return nav


def _pages(part: Any, made: list[str]) -> list[Any]:
    if isinstance(part, str) and part.endswith("/"):
        return [place for place in made if place.startswith(part)]
    return [_expanded(part, made)]


def _picture(title: str, path: Path) -> str:
    svg = re.sub(r"\n\s*", " ", path.read_text()).strip()
    return f'<figure class="picture" role="img" aria-label="{title}">{svg}</figure>'
