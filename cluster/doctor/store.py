"""Whether a store writes, reads and removes an object, and whether its clock agrees with ours."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
import uuid
from email.utils import parsedate_to_datetime

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.process import variable

REFUSED_S, NOTICED_S = 300.0, 5.0
"""S3 refuses requests whose time is 15 minutes off; a store's date has no parts of a second."""
_ANSWER_S = 10.0


def store(url: str) -> Finding:
    """Write, read and remove one small object below the URL."""
    from videoar.data_pipeline.storage.objects import Storage

    key, payload = f"doctor.{uuid.uuid4().hex[:8]}", os.urandom(1 << 16)
    began = time.monotonic()
    try:
        storage = Storage.open(url)
        storage.write(key, payload)
        try:
            is_same = storage.read(key) == payload
        finally:
            storage.remove(key)
    except (InputError, StoreError) as error:
        return failed("storage", f"{url}: {error.problem}", error.remedy)
    if not is_same:
        return failed("storage", f"{url} returned other bytes", "use another store")
    took_ms = 1000 * (time.monotonic() - began)
    return ok("storage", f"{url}: written, read and removed in {took_ms:.0f} ms", milliseconds=took_ms)


def clock(url: str) -> Finding:
    """This machine's clock, compared with the date in an answer of the store's server."""
    server = server_of(url)
    if server is None:
        return ok("clock", f"{url} has no server to compare with")
    try:
        ahead_s = _ahead_s(server)
    except (OSError, ValueError) as error:
        return warned("clock", f"{server} gives no date ({error})", "compare `date -u` with another machine")
    found = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} {server}"
    remedy = "synchronise it: `chronyc makestep`, or `systemctl restart systemd-timesyncd`"
    if abs(ahead_s) > REFUSED_S:
        return failed("clock", found, remedy, ahead_s=ahead_s)
    if abs(ahead_s) > NOTICED_S:
        return warned("clock", found, remedy, ahead_s=ahead_s)
    return ok("clock", f"within {NOTICED_S:.0f} s of {server}", ahead_s=ahead_s)


def server_of(url: str) -> str | None:
    """The server that answers for a URL; None for a folder, and for stores whose server is not known."""
    protocol = url.partition("://")[0]
    if protocol in ("http", "https"):
        return "/".join(url.split("/")[:3])
    if protocol in ("s3", "s3a"):
        return variable("AWS_ENDPOINT_URL_S3") or variable("AWS_ENDPOINT_URL") or "https://s3.amazonaws.com"
    return "https://storage.googleapis.com" if protocol in ("gs", "gcs") else None


def _ahead_s(server: str) -> float:
    """Seconds that our clock is ahead of the server's. Any answer has a date, even a refusal."""
    began = time.time()
    try:
        with urllib.request.urlopen(urllib.request.Request(server, method="HEAD"), timeout=_ANSWER_S) as answer:
            date = answer.headers["Date"]
    except urllib.error.HTTPError as refusal:
        with refusal:
            date = refusal.headers["Date"]
    if date is None:
        raise ValueError("its answer has none")
    return (began + time.time()) / 2 - (parsedate_to_datetime(date).timestamp() + 0.5)
