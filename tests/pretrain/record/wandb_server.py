"""As much of a Weights & Biases server as `wandb sync` needs: it keeps the rows of one run's history."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer(ThreadingHTTPServer):
    """On loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows: list[dict[str, Any]] = []
        """The history of the run, as it was sent."""
        self.runs: list[dict[str, Any]] = []
        """What each part said of its run: name (the id), project, entity, group."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that closes its connection is no error."""

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of a GraphQL query."""
        if "upsertBucket" in query:
            self.runs.append(variables)
            project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": variables["entity"]}}
            bucket = {"id": "b", "name": variables["name"], "config": "{}", "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": not self.rows}}
        if "RunResumeStatus" in query:
            return {"model": {"id": "m", "name": "p", "entity": {"id": "e", "name": "e"}, "bucket": self._resumed()}}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        return {}

    def _resumed(self) -> dict[str, Any] | None:
        """Where the run is; None before its first part."""
        if not self.rows:
            return None
        tail = json.dumps([json.dumps({"_step": self.rows[-1]["_step"], "_runtime": 1})])
        counts = {"historyLineCount": len(self.rows), "eventsLineCount": 0, "logLineCount": 0}
        texts = {"summaryMetrics": "{}", "config": "{}", "wandbConfig": '{"t": 1}', "events": "[]", "eventsTail": "[]"}
        return {"id": "b", "name": "run", "tags": [], "history": tail, "historyTail": tail, **counts, **texts}


class _Handler(BaseHTTPRequestHandler):
    server: WandbServer

    def do_GET(self) -> None:
        self._reply({})

    def do_PUT(self) -> None:
        self._body()
        self._reply({})

    def do_POST(self) -> None:
        text = self._body()
        body = json.loads(text) if text.startswith(b"{") else {}
        if self.path.endswith("/graphql"):
            return self._reply({"data": self.server.answer(body["query"], body.get("variables") or {})})
        sent = body.get("files", {}).get("wandb-history.jsonl", {"content": []})
        self.server.rows += [json.loads(line) for line in sent["content"]]
        self._reply({"limits": {}})

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: stderr is the test's."""

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    with WandbServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
