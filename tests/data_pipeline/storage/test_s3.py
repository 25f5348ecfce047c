from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from tests.s3_server import S3Store
from videoar.cluster.ground.errors import InputError, StoreError
from videoar.data_pipeline.storage import s3 as parts
from videoar.data_pipeline.storage.objects import Storage

from ..bad_network import BadNetwork


def through(network: BadNetwork, monkeypatch: pytest.MonkeyPatch, url: str) -> Storage:
    """The storage, reached through that network."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", network.endpoint)
    S3FileSystem.clear_instance_cache()
    return Storage.open(url)


def test_a_wrong_secret_fails_at_once_in_one_line(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries for minutes, or a traceback, would hide what is wrong."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-never-shown")
    S3FileSystem.clear_instance_cache()
    began = time.monotonic()
    for act in (lambda: Storage.open(s3.url).write("a", b"1"), lambda: Storage.open(s3.url).exists("a")):
        with pytest.raises(InputError, match=r"is refused by the store .*check AWS_ACCESS_KEY_ID") as caught:
            act()
        assert "never-shown" not in "".join(traceback.format_exception(caught.value))
    assert time.monotonic() - began < 5


def test_missing_credentials_and_a_missing_bucket_are_named(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person must repair both, and the libraries report both as something else."""
    with pytest.raises(InputError, match="a bucket that does not exist; create it first"):
        Storage.open("s3://never-made/x").write("a", b"1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match="needs credentials, but none were found"):
        Storage.open(s3.url).write("a", b"1")


@pytest.mark.slow
def test_a_busy_store_and_a_broken_connection_are_tried_again(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttling is normal on a large store; it must not end a job."""
    with BadNetwork(s3.endpoint, "slow down", "drop") as network:
        through(network, monkeypatch, s3.url).write("a", b"whole")
    assert network.num_puts == 3
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    S3FileSystem.clear_instance_cache()
    assert Storage.open(s3.url).read("a") == b"whole"


@pytest.mark.slow
def test_changed_bytes_are_never_stored(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flipped bit on the way must end as an error or as the right bytes, not as a shard with a wrong code."""
    with BadNetwork(s3.endpoint, then="flip") as network:
        with pytest.raises(OSError, match=r"failed \("):
            through(network, monkeypatch, s3.url).write("a", b"whole")
    S3FileSystem.clear_instance_cache()
    with BadNetwork(s3.endpoint) as network:
        storage = through(network, monkeypatch, s3.url)
        assert not storage.exists("a")
        bucket, key, _ = storage.fs.split_path(storage.path("a"))
        with pytest.raises(OSError, match=r"Content-MD5"):  # the server compares: a mock would take it
            storage.fs.call_s3("put_object", Bucket=bucket, Key=key, Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")


@pytest.mark.slow
def test_a_large_file_goes_up_in_parts_and_is_checked(
    s3: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that is cut at the edge of a part would be found only when it is read."""
    local, payload = tmp_path / "large.bin", os.urandom((12 << 20) + 17)
    local.write_bytes(payload)
    monkeypatch.setattr(parts, "_PART_BYTES", 5 << 20)
    storage = Storage.open(s3.url)
    storage.write_file("large.bin", local)
    assert storage.read("large.bin") == payload
    assert storage.fs.info(storage.path("large.bin"))["ETag"].endswith('-3"')
    with BadNetwork(s3.endpoint, "none", "drop") as network:
        through(network, monkeypatch, s3.url).write_file("again.bin", local)
    assert network.num_puts == 4
    monkeypatch.setattr(parts, "_etags", lambda *_: {"other"})
    with pytest.raises(StoreError, match="holds other bytes than were sent"):
        storage.write_file("other.bin", local)
