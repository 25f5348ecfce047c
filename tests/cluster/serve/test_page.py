"""The page over HTTP: who is answered, and what is never sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import UPLOAD_MIB

pytestmark = pytest.mark.slow


def test_only_the_page_of_this_machine_is_answered(served: str) -> None:
    """A foreign name that resolves to 127.0.0.1 would read the page; a form of a foreign page would upload files."""
    assert served.startswith("http://127.0.0.1:")
    assert httpx.get(served).status_code == 200
    assert httpx.get(served, headers={"Host": "example.org"}).status_code == 403
    upload, files = f"{served}/gradio_api/upload", {"files": ("a.png", b"x")}
    for origin, code in ((served, 200), ("http://example.org", 403), ("null", 403)):
        assert httpx.post(upload, files=files, headers={"Origin": origin}).status_code == code, origin


def test_no_file_of_the_machine_can_be_read(served: str, tmp_path: Path) -> None:
    """Neither a system's file nor one of the folder in which the command was started."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    for path in ("/etc/passwd", str(secret), str(Path("pyproject.toml").resolve()), "pyproject.toml"):
        assert httpx.get(f"{served}/gradio_api/file={path}").status_code in (403, 404), path


def test_uploads_are_limited(served: str) -> None:
    """A single request would fill the disk."""
    for size, code in ((2**19, 200), ((UPLOAD_MIB + 1) * 2**20, 413)):
        answer = httpx.post(f"{served}/gradio_api/upload", files={"files": ("a.png", bytes(size))})
        assert answer.status_code == code


def test_a_path_in_place_of_an_upload_is_refused(served: str, tmp_path: Path) -> None:
    """A request that is not the form's may name any file of the server, which would be decoded and shown."""
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"")
    config = httpx.get(f"{served}/config").json()
    make = next(one for one in config["dependencies"] if one["targets"][0][1] == "click" and len(one["inputs"]) > 3)
    parts = {part["id"]: part["props"] for part in config["components"]}
    values = [parts[number].get("value") for number in make["inputs"]]
    (place,) = (index for index, number in enumerate(make["inputs"]) if parts[number].get("elem_id") == "image")
    assert _outcome(served, make["id"], values)["success"], "the request itself is one that is answered"
    values[place] = {"path": str(picture), "meta": {"_type": "gradio.FileData"}}
    assert not _outcome(served, make["id"], values)["success"]


def _outcome(url: str, function: int, values: list[Any]) -> dict[str, Any]:
    """The last message about a request."""
    asked = {"data": values, "fn_index": function, "session_hash": "test"}
    assert httpx.post(f"{url}/gradio_api/queue/join", json=asked).status_code == 200
    with httpx.stream("GET", f"{url}/gradio_api/queue/data?session_hash=test", timeout=None) as messages:
        for line in messages.iter_lines():
            if line.startswith("data:") and (found := json.loads(line[5:]))["msg"] == "process_completed":
                return found
    raise AssertionError("no outcome")
