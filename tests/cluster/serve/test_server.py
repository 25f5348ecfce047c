"""Whom the page answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from videoar.cluster.serve.server import OnlyThisMachine

pytest.importorskip("starlette", reason="Gradio is not installed")


def answered(**headers: str) -> int:
    """The status that a request gets; 200 if the page behind it is asked."""
    sent: list[dict[str, Any]] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": pairs}
    asyncio.run(OnlyThisMachine(page)(scope, None, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:7860"}, 200),
        ({"host": "localhost", "origin": "http://localhost"}, 200),
        ({"host": "example.org"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
        ({}, 403),
        ({"host": "["}, 400),
        ({"host": "localhost", "origin": "http://["}, 400),
    ],
)
def test_only_this_machine_is_answered(headers: dict[str, str], status: int) -> None:
    """A header that is no address is the fault of who sent it, and no error of the page."""
    assert answered(**headers) == status
