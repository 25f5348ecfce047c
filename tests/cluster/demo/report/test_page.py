"""The demo's page: whole, self-contained, and true to its figures."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from videoar.cluster.demo.report import Findings, render


class Balance(HTMLParser):
    """Collects elements that are left open and every address that the page would load."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "poster", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


def test_the_page_is_whole_and_loads_nothing(found: Findings) -> None:
    """It is opened from a disk, mailed and archived: no script, no address outside it, every element closed."""
    page = render(found)
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert balance.loaded
    assert all(address.startswith("data:video/mp4;base64,") for address in balance.loaded)
    assert "<script" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower().split()


def test_what_people_wrote_is_text(found: Findings) -> None:
    """A caption of the user's clip may hold anything; it must not become markup."""
    assert "<man>" not in render(found)
    assert "a &lt;man&gt; &amp; a car" in render(found)


def test_a_run_without_clips_of_a_kind_still_has_a_page(found: Findings) -> None:
    """Rows may be empty: a folder of clips may give none to show."""
    assert "What each step cost" in render(replace(found, rows={name: () for name in found.rows}))


def test_the_page_opens_with_videos_from_sentences(found: Findings) -> None:
    """What works stands first; a run from random weights has no such videos, and does not speak of them."""
    sentence = replace(found.rows["continued"][0], title="a red <square>", panels=())
    page = render(replace(found, rows={**found.rows, "sentences": (sentence,)}))
    heads = ("a red &lt;square&gt;", "The whole path", "continued</h2>", "Training</h2>", "What was learned</h2>")
    assert sorted(map(page.index, heads)) == [page.index(head) for head in heads]  # seen, then made, then compared
    assert 'aria-label="a red &lt;square&gt;"' in page
    scratch = render(replace(found, start=""))
    assert "A sentence, and a video" not in scratch
    assert "began with random weights" in scratch
