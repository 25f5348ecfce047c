from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from videoar.cluster.ground.credentials import MASK, guard_output, redact, refuse_credentials
from videoar.cluster.ground.errors import InputError


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


@pytest.mark.parametrize(
    "url", ["s3://key:secret@bucket/a", "https://h/x?X-Amz-Signature=abc", "https://h/x?api_key=abc"]
)
def test_a_url_with_a_key_is_refused_without_repeating_it(url: str) -> None:
    """A URL ends up in plans and manifests that others read; so does the message about it."""
    with pytest.raises(InputError, match="contains a credential") as caught:
        refuse_credentials("data.url", url)
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket/a", "folder/a@b", "http://localhost:9000/bucket", "https://h/x?page=2"])
def test_a_plain_url_passes(url: str) -> None:
    """Ports and ordinary parameters are not keys; refusing them would leave people without a way."""
    refuse_credentials("data.url", url)
    assert redact(f"read {url} twice") == f"read {url} twice"


def test_values_of_the_environment_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries print requests with their headers; logs are copied into tickets."""
    monkeypatch.setenv("WANDB_API_KEY", "0123456789")
    assert redact("sent 0123456789 to s3://k:pw@b/x") == f"sent {MASK} to s3://{MASK}@b/x"
