"""The page as a person uses it, in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videoar.data_pipeline.encoding.pictures import save_png

from .conftest import UPLOAD_MIB

pytestmark = pytest.mark.drill
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

PATIENCE_MS = 60_000
CHROMIUM = shutil.which("chromium") or ""


@pytest.fixture
def page(served: str) -> Iterator[Any]:
    """The page, opened; it may load nothing from elsewhere."""
    if not CHROMIUM:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(served)
        page.locator("#prompt textarea").wait_for()
        yield page
        assert not [url for url in asked if not url.startswith((served, "data:", "blob:"))]
        browser.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return save_png(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8), tmp_path / "picture.png")


def test_a_person_makes_videos(page: Any, picture: Path) -> None:
    """From a prompt and a picture to videos that play, side by side, and to the history."""
    page.locator("#prompt textarea").fill("a red square")
    page.locator("#image input[type=file]").set_input_files(picture)
    page.locator("#image").get_by_role("button", name="Clear").or_(
        page.locator("#image .file-preview")
    ).first.wait_for()
    page.get_by_text("More").click()
    page.locator("#given input").wait_for()
    page.locator("#frames input").fill("")
    _press(page, "Make")
    _await_line(page, "9 frames of 32x32")
    for number in (0, 1):
        _await(page, f"(v => v && v.readyState >= 2 && v.videoWidth == 32 && v.duration > 1)({_video(number)})")
    _await(page, "document.querySelectorAll('#earlier video').length == 2")
    assert page.locator("#earlier").get_by_text("'a red square', seed 0 (").count() == 2


def test_frames_appear_while_the_video_is_made_and_it_can_be_stopped(page: Any) -> None:
    """A long video shows its newest frame, which changes, until a person has seen enough."""
    page.locator("#frames input").fill("10001")
    _press(page, "Make")
    image = page.locator("#newest-0 img")
    image.wait_for()
    first = image.get_attribute("src")
    _await(page, f"document.querySelector('#newest-0 img').src != {json.dumps(first)}")
    _press(page, "Stop")
    _await_line(page, "stopped")
    page.locator("#frames input").fill("1")
    _press(page, "Make")
    _await_line(page, "1 frame of 32x32")


def test_bad_uploads_are_answered_and_the_page_goes_on(page: Any, tmp_path: Path) -> None:
    """Neither a text that is called a picture, nor a file that is too large, ends anything."""
    bad, large = tmp_path / "cat.png", tmp_path / "large.mp4"
    bad.write_text("not a picture")
    large.write_bytes(bytes((UPLOAD_MIB + 1) * 2**20))
    page.locator("#image input[type=file]").set_input_files(bad)
    page.locator("#image .file-preview").wait_for()
    _press(page, "Make")
    _await_line(page, "image=cat.png: cannot be read (")
    line = page.locator("#status textarea").input_value()
    assert line.endswith("; give a video or picture file")
    page.locator("#video input[type=file]").set_input_files(large)
    page.get_by_text('exceed the maximum allowed size of 1.0 Mb: "large.mp4"').wait_for()
    page.locator("#image button[aria-label=Clear]").click()
    page.locator("#frames input").fill("5")
    _press(page, "Make")
    _await_line(page, "5 frames of 32x32")


def _press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def _video(number: int) -> str:
    return f"document.querySelector('#made-{number} video')"


def _await_line(page: Any, beginning: str) -> None:
    _await(page, f"document.querySelector('#status textarea').value.startsWith({json.dumps(beginning)})")


def _await(page: Any, condition: str) -> None:
    page.wait_for_function(condition, timeout=PATIENCE_MS)
