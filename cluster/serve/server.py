"""Serves the page on loopback until a signal comes."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.process import environment
from videoar.cluster.ground.processes.preemption import install, restore

LOOPBACK = ("127.0.0.1", "localhost")


def checked_port(host: str, port: int) -> int:
    """The port, or a free one for 0. InputError for an address that other machines reach, and for a port in use."""
    if host not in LOOPBACK:
        problem = "is not this machine's loopback address: whoever reaches it could use the page"
        remedy = f"leave it out; from another machine: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"
        raise InputError("host", host, problem, remedy)
    try:
        with socket.create_server((LOOPBACK[0], port)) as server:
            return int(server.getsockname()[1])
    except OSError as error:
        raise InputError(
            "port", port, f"cannot be used ({os.strerror(error.errno or 0)})", "give another one"
        ) from error


@contextmanager
def working_folders() -> Iterator[Path]:
    """A folder for videos, of this user alone; it is removed at the end, and so are the uploads next to it.

    Pages must be built inside the block: Gradio reads there where uploads go.
    """
    with TemporaryDirectory(prefix="videoar-serve-") as folder, environment({"GRADIO_TEMP_DIR": f"{folder}/uploads"}):
        videos = Path(folder) / "videos"
        videos.mkdir()
        yield videos


class OnlyThisMachine:
    """Middleware that answers only requests to a loopback name, and no requests from pages of other sites.

    A foreign name that resolves to 127.0.0.1 would read the page, and a form on a foreign page would upload files.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.datastructures import Headers
        from starlette.responses import PlainTextResponse

        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            named = [f"//{headers.get('host', '')}", *headers.getlist("origin")]
            try:
                is_foreign = any(urlsplit(url).hostname not in LOOPBACK for url in named)
            except ValueError:
                await PlainTextResponse("Host or Origin is not an address", 400)(scope, receive, send)
                return
            if is_foreign:
                await PlainTextResponse("only this machine's own page is answered", 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


@contextmanager
def serving(page: Any, port: int, upload_bytes: int) -> Iterator[str]:
    """Serve a page inside the block; yields its URL. Larger uploads are refused."""
    from starlette.middleware import Middleware

    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks its own server whether it is there
    _, url, _ = page.launch(
        server_name=LOOPBACK[0],
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=upload_bytes,
        app_kwargs={"middleware": [Middleware(OnlyThisMachine)]},
        allowed_paths=[],
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    try:
        yield url.rstrip("/")
    finally:
        page.close(verbose=False)


def wait_for_a_signal(ready: Callable[[], object]) -> None:
    """Return after Ctrl-C or SIGTERM; `ready` is called once they are awaited."""
    over = threading.Event()
    before = install(lambda number, frame: over.set())
    try:
        ready()
        over.wait()
    finally:
        restore(before)
