"""Storage on a real S3 server and on real disks: writes are complete or absent, errors are one line."""

from __future__ import annotations

import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest

from tests.s3_server import S3Store
from videoar.cluster.ground.errors import InputError, StoreError
from videoar.data_pipeline.storage.objects import Storage


@pytest.mark.slow
def test_objects_of_an_s3_store(s3: S3Store, tmp_path: Path) -> None:
    """Commits, shards and checkpoints rely on each of these operations."""
    storage, local = Storage.open(s3.url), tmp_path / "large.bin"
    local.write_bytes(bytes(range(256)) * 9000)
    assert storage.keys("") == ()
    storage.write("run/a.json", b"0123456789")
    storage.write_file("run/step/large.bin", local)
    storage.write("run/step2/kept.json", b"{}")
    assert storage.exists("run/a.json")
    assert not storage.exists("run/b.json")
    assert storage.read("run/a.json", 2, 5) == b"234"
    assert storage.read("run/step/large.bin") == local.read_bytes()
    with storage.open_stream("run/step/large.bin", 4096) as handle:
        handle.seek(1000)
        assert handle.read(10) == local.read_bytes()[1000:1010]
    parts = list(storage.parts("run/step/large.bin", 1 << 20, 5))
    assert [len(part) for part in parts] == [1 << 20, 1 << 20, local.stat().st_size - 5 - (2 << 20)]
    assert b"".join(parts) == local.read_bytes()[5:]
    assert {key: info["size"] for key, info in storage.infos("run").items()} == {
        "run/a.json": 10,
        "run/step/large.bin": local.stat().st_size,
        "run/step2/kept.json": 2,
    }
    assert storage.is_folder("run")
    assert not storage.is_folder("run/a.json")
    assert storage.info("run/a.json")["size"] == 10
    assert storage.is_older("run/a.json", time.time() + 600)
    assert not storage.is_older("run/a.json", time.time() - 600)
    assert not storage.is_older("run/b.json", time.time() + 600)
    storage.remove("run/b.json")
    storage.remove_folder("run/step")
    storage.remove_folder("run/never")
    assert storage.keys("") == ("run/a.json", "run/step2/kept.json")
    storage.remove("run/a.json")
    assert storage.keys("run") == ("run/step2/kept.json",)


def test_what_a_killed_writer_left_is_found_and_removed(s3: S3Store, tmp_path: Path) -> None:
    """Invisible parts of uploads cost money on a store and fill a disk."""
    remote, local = Storage.open(s3.url), Storage.open(str(tmp_path))
    bucket, key, _ = remote.fs.split_path(remote.path("shards/a.tar"))
    upload = remote.fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
    remote.fs.call_s3(
        "upload_part", Bucket=bucket, Key=key, UploadId=upload["UploadId"], PartNumber=1, Body=bytes(5 << 20)
    )
    local.write("shards/a.tar.01234567.part", b"half")
    for storage in (remote, local):
        storage.write("shards/b.tar", b"whole")
        assert storage.folders() == ("shards",)
        assert [key.split(".")[0] for key in storage.remove_unfinished(time.time() + 60)] == ["shards/a"]
        assert storage.remove_unfinished(time.time() + 60) == ()
        assert storage.keys("") == ("shards/b.tar",)


@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:CANARY@bucket/data",
        "filecache::s3://KEY:CANARY@bucket/data",
        "https://host/data?X-Amz-Signature=CANARY",
        "s3://bucket/data?aws_secret_access_key=CANARY",
    ],
)
def test_a_credential_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    """URLs are written into plans, manifests and logs."""
    with pytest.raises(InputError, match="contains a credential") as caught:
        Storage.open(url)
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    """Half a shard under its final name would be taken for a complete one. Uses a real file system of one megabyte."""
    module = "videoar.data_pipeline.storage.objects"
    script = (
        f'mount -t tmpfs -o size=1m none {tmp_path} && {sys.executable} -c "from {module} import Storage, StoreError\n'
        f"s = Storage.open('{tmp_path}')\ns.write('old', b'1')\ntry:\n    s.write('old', bytes(1 << 21))\n"
        "except StoreError as error:\n    print(error, s.keys(''), s.read('old'))\""
    )
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*unshare, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system in a namespace of their own")
    done = subprocess.run([*unshare, script], capture_output=True, text=True, check=True)
    assert "the disk is full; free some space" in done.stdout
    assert done.stdout.endswith("('old',) b'1'\n"), done.stdout


@pytest.mark.parametrize("url", ["s3://[b/x", "memory://a::file://b", "foo://x"])
def test_a_url_that_is_not_valid_is_one_line(url: str) -> None:
    """A typing error must not end in a traceback."""
    with pytest.raises(InputError, match="url="):
        Storage.open(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/data", "ftp://127.0.0.1:9/data"])
def test_a_store_that_does_not_answer_is_one_line(url: str) -> None:
    """Each protocol raises its own errors, some of them already when the store is opened."""
    with pytest.raises(StoreError, match=url):
        Storage.open(url).write("key", b"1")
    with pytest.raises(StoreError, match=url):
        Storage.open(url).folders()


def test_a_local_name_with_colons_is_that_file(tmp_path: Path) -> None:
    """fsspec reads `a::b` as a chain of stores and would write to `a`."""
    Storage.open(str(tmp_path / "o::x")).write("key", b"1")
    assert (tmp_path / "o::x" / "key").read_bytes() == b"1"
