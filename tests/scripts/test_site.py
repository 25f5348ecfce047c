"""The site as `make docs` builds it: every command, option, recipe and field has its place, and no link is dead."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from videoar.cluster.cli.command_table import COMMANDS
from videoar.cluster.entry import main
from videoar.cluster.ground.fields.serialize import leaves
from videoar.configs.load import find_recipe, layout_counts, recipe_names
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.pretrain.config import Recipe

from ..data_pipeline.videos import scene, write_frames

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NO_NETWORK = "http://127.0.0.1:9"  # nobody listens there


@dataclass
class Read(HTMLParser):
    """What other pages can point at, what a page points at, and what a browser loads with it."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag in ("script", "img", "iframe", "link", "source", "video"):
            if found.get("rel") not in ("canonical", "prev", "next"):
                self.loaded += [found[name] for name in ("href", "src") if name in found]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Read]:
    """Each page of the strict build by its place; whatever it fetches fails it."""
    folder = tmp_path_factory.mktemp("site")
    offline = {"http_proxy": NO_NETWORK, "https_proxy": NO_NETWORK, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | offline, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        pages[str(path.relative_to(folder))] = page = Read()
        page.feed(path.read_text())
    others = {str(path.relative_to(folder)): Read() for path in folder.rglob("*") if path.suffix != ".html"}
    return {**pages, **others}


def test_every_command_has_a_page_with_every_option(site: dict[str, Read], capsys: pytest.CaptureFixture[str]) -> None:
    """An option that only `--help` knows is one that a reader of the site does without."""
    seen: set[str] = set()
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([*name.split(), "--help"])
        options = {*re.findall(r"^[│| ]+(--[a-z][\w-]*)", capsys.readouterr().out, re.MULTILINE)} - {"--help"}
        page = site[f"commands/{name.replace(' ', '_')}.html"]
        seen |= options
        assert not {option for option in options if option[2:] not in page.anchors}, name
        assert not {option for option in options if option not in page.text}, name
    assert {"--processes", "--from", "--top-p", "--retry-failed"} <= seen, "the help is read"


def test_every_recipe_has_a_page_with_its_values(site: dict[str, Read]) -> None:
    """Somebody who chooses a recipe by its page must see what will run, under each of its layouts."""
    for name in recipe_names():
        text = " ".join(site[f"recipes/{name}.html"].text.split())
        first = (importlib.import_module(f"videoar.configs.{name}").__doc__ or "").splitlines()[0]
        assert first.replace("`", "") in text
        for variant in [f"{name}@{count}" for count in layout_counts(name)] or [name]:
            assert f"videoar config {variant}" in text
        recipe = find_recipe(name)
        numbers = [f"{path.rpartition('.')[2]}: {value}" for path, _, value in leaves(recipe) if type(value) is int]
        assert not [line for line in numbers if line not in text]
        assert sys.prefix not in text, "the folders of the machine that built it"


def test_every_field_is_explained(site: dict[str, Read], monkeypatch: pytest.MonkeyPatch) -> None:
    """A field without a text is a word that a reader has to look up in the code; so it is in `--help`."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "site"))
    pages = importlib.import_module("field_pages")
    found = [
        (cls, item) for root in (Recipe, TokenizerRecipe) for cls in pages.tree(root) for item in pages.fields_of(cls)
    ]
    assert not [f"{cls.__name__}.{item.name}" for cls, item in found if not item.text]
    assert {f"{cls.__name__.lower()}.{item.name}" for cls, item in found} <= site["fields.html"].anchors


def test_every_public_name_is_documented(site: dict[str, Read]) -> None:
    """A name that a package exports and the reference lacks has no signature that a reader could find."""
    for module in ("tokenizer", "pretrain.model", "pretrain.generate", "data_pipeline"):
        names = importlib.import_module(f"videoar.{module}").__all__
        assert {f"videoar.{module}.{name}" for name in names} <= site[f"api/{module}.html"].anchors
    assert (
        "videoar.data_pipeline.planning.plugins.ClipScorer.score"
        in site["api/data_pipeline.planning.plugins.html"].anchors
    )


def test_no_link_and_no_anchor_is_dead(site: dict[str, Read]) -> None:
    """A reader follows a link from a table of faults in the middle of the night."""
    dead = []
    for place, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = os.path.normpath(Path(place).parent / unquote(parts.path)) if parts.path else place
            found = site.get("index.html" if target == "." else target)
            if found is None or (parts.fragment and unquote(parts.fragment) not in found.anchors):
                dead.append(f"{place}: {link}")
    assert not [line for line in dead if not line.startswith("404.html")]


def test_a_browser_loads_nothing_from_elsewhere(site: dict[str, Read]) -> None:
    """On a cluster without network a page that waits for a font or a script stays empty."""
    loaded = {link for page in site.values() for link in page.loaded}
    assert any(link.endswith(".css") for link in loaded)
    assert not [link for link in loaded if urlsplit(link).netloc]
    assert not [place for place, page in site.items() if "flowchart LR" in page.text], "mermaid comes from a network"


def test_names_in_the_text_lead_to_their_pages(site: dict[str, Read]) -> None:
    """The table of equations is a way into the code only if its names are links to the lines."""
    equations = site["equations.html"].links
    lines = (ROOT / "tokenizer/bsq.py").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if text.startswith("def quantize("))
    assert f"source/tokenizer/bsq.py.html#L{line}" in equations
    assert "commands/data_plan.html" in site["data.html"].links
    assert "fields.html#dataconfig.max_failed_fraction" in site["preparing.html"].links
    assert "recipes/t2v_4b.html" in site["recipes.html"].links


def test_the_example_of_an_own_recipe_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the page of own recipes and plug-ins shows is copied: a recipe in Python, a scorer and a captioner."""
    page = (ROOT / "docs" / "own_recipes.md").read_text()
    for name, text in re.findall(r'```python title="(\w+\.py)"\n(.*?)```', page, re.DOTALL):
        (tmp_path / name).write_text(text)
    write_frames(tmp_path / "clips" / "a_light_film.mp4", scene(0, 30))
    write_frames(tmp_path / "clips" / "a_dark_film.mp4", [frame // 20 for frame in scene(0, 30)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # plug-ins are found in the current folder
    assert main(["data", "plan", "my_recipe.py", "--output", "shards/mine", "--json"]) == 0
    printed = capsys.readouterr().out
    assert "its light is below filters.scores.light.minimum=20" in printed
    from videoar.data_pipeline.planning.stored_plan import read_plan
    from videoar.data_pipeline.storage.objects import Storage

    clips = read_plan(Storage.open("shards/mine/films")).shard(0)
    assert {clip.caption for clip in clips} == {"a light film"}
