from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from videoar.cluster.ground.credentials import guard_output, redact


def test_logs_and_tracebacks_hold_no_credential(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Libraries log their arguments, at levels that a user may switch on."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "CANARY-in-the-environment")
    text = redact("got CANARY-in-the-environment from s3://k:CANARY@b/x and https://b/?X-Amz-Signature=CANARY&a=1")
    assert text == "got *** from s3://***@b/x and https://b/?X-Amz-Signature=***&a=1"
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        guard_output()
        try:
            raise RuntimeError("CANARY-in-the-environment")
        except RuntimeError:
            logging.getLogger("library").exception("with %s", "CANARY-in-the-environment")
    finally:
        logging.getLogger().removeHandler(handler)
    assert "RuntimeError: ***" in stream.getvalue()
    assert "CANARY" not in stream.getvalue()
