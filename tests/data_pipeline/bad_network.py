"""A network between a client and the S3 server that breaks, delays or changes what passes, on command."""

from __future__ import annotations

import http.client
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Fault = Literal["none", "flip", "slow down", "drop"]


class BadNetwork:
    """Forwards to an endpoint; each PUT meets the next of the faults, then none. A context manager."""

    def __init__(self, endpoint: str, *faults: Fault, then: Fault = "none") -> None:
        network, self._faults, self._then = self, deque(faults), then
        self.num_puts = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                network.forward(self, urlsplit(endpoint).netloc)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = forward

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def forward(self, request: BaseHTTPRequestHandler, upstream: str) -> None:
        """Forward one request, or apply the next fault to it."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        fault = self._next() if request.command == "PUT" else "none"
        if fault == "drop":
            request.close_connection = True
            return
        if fault == "slow down":
            _answer(
                request, 503, {}, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
            )
            return
        if fault == "flip":
            body = bytes([body[0] ^ 1]) + body[1:]
        connection = http.client.HTTPConnection(upstream)
        connection.request(request.command, request.path, body, dict(request.headers))
        reply = connection.getresponse()
        _answer(request, reply.status, dict(reply.getheaders()), reply.read())
        connection.close()

    def _next(self) -> Fault:
        self.num_puts += 1
        return self._faults.popleft() if self._faults else self._then

    def __enter__(self) -> BadNetwork:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    request.send_response(status)
    for name, value in headers.items():
        if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
            request.send_header(name, value)
    length = headers.get("Content-Length", str(len(body))) if request.command == "HEAD" else str(len(body))
    request.send_header("Content-Length", length)
    request.end_headers()
    request.wfile.write(body)
