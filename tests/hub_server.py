"""The part of the Hugging Face Hub that an upload needs, on loopback, in memory. It keeps every request that it got."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_canary"
OWNER = "me"


class Hub(ThreadingHTTPServer):
    """Repositories by name, as the path and bytes of their files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: set[str] = set()
        self.messages: list[str] = []
        """Of the commits."""
        self.requests: list[str] = []
        """Method and path."""
        self.objects: dict[str, bytes] = {}
        """Large files by sha256."""
        self.card_errors: list[str] = []
        """What it finds in a card."""


@contextmanager
def hub() -> Iterator[Hub]:
    """A Hub that serves until the end of the block."""
    server = Hub()
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self._begin()
        repo = "/".join(self.path.split("/")[3:5])
        if repo not in self.server.repos:
            return self._answer(404, {"error": "Repository not found"})
        files = self.server.repos[repo]
        if "/tree/main" in self.path:
            tree = [{"type": "file", "path": path, "oid": "0" * 40, "size": len(files[path])} for path in files]
            return self._answer(200, tree)
        self._answer(200, {"id": repo, "private": repo in self.server.private, "sha": "0" * 40})

    def do_PUT(self) -> None:
        body = self._begin()
        self.server.objects[hashlib.sha256(body).hexdigest()] = body
        self._answer(200, {})

    def do_POST(self) -> None:
        body = self._begin()
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid credentials"})
        if self.path.split("?")[0].endswith("/commit/main"):
            return self._commit([json.loads(line) for line in body.splitlines()])
        asked = json.loads(body)
        if self.path == "/api/repos/create":
            self._create(asked)
        elif self.path == "/api/validate-yaml":
            errors = [{"message": text} for text in self.server.card_errors]
            self._answer(400 if errors else 200, {"errors": errors, "warnings": []})
        elif self.path.endswith("/preupload/main"):
            modes = [
                (file["path"], "lfs" if file["path"].endswith(".safetensors") else "regular") for file in asked["files"]
            ]
            self._answer(
                200, {"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes]}
            )
        else:
            assert self.path.endswith(".git/info/lfs/objects/batch")
            self._answer(200, {"objects": [self._where(**item) for item in asked["objects"]]})

    def _begin(self) -> bytes:
        """Note the request; its body."""
        self.server.requests.append(f"{self.command} {self.path}")
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _create(self, asked: dict[str, Any]) -> None:
        repo = f"{asked['organization'] or OWNER}/{asked['name']}"
        if not repo.startswith(f"{OWNER}/"):
            return self._answer(403, {"error": "You don't have the rights"})
        if is_new := repo not in self.server.repos:
            self.server.repos[repo] = {".gitattributes": b""}
            if asked.get("visibility") == "private":
                self.server.private.add(repo)
        self._answer(200 if is_new else 409, {"url": f"{self.server.url}/{repo}"})

    def _where(self, oid: str, size: int) -> dict[str, Any]:
        """Where to put a large file; nowhere if it is there."""
        there = {} if oid in self.server.objects else {"actions": {"upload": {"href": f"{self.server.url}/put/{oid}"}}}
        return {"oid": oid, "size": size, **there}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        repo = "/".join(self.path.split("/")[3:5])
        files = self.server.repos[repo]
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "header":
                    self.server.messages.append(value["summary"])
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.server.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        commit = "1" * 40
        self._answer(200, {"commitUrl": f"{self.server.url}/{repo}/commit/{commit}", "commitOid": commit})

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
