"""Storage on a real S3 server and on real disks: whole or absent, checked, and plain about what is wrong."""

from __future__ import annotations

from pathlib import Path

from tests.s3_server import S3Store
from videoar.data_pipeline.storage import Storage


def test_objects_of_an_s3_store(s3: S3Store, tmp_path: Path) -> None:
    """Everything commits, shards and checkpoints ask of a store."""
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
    with storage.open_read("run/step/large.bin") as handle:
        handle.seek(1000)
        assert handle.read(10) == local.read_bytes()[1000:1010]
    storage.remove_folder("run/step")
    storage.remove_folder("run/never")
    assert storage.keys("") == ("run/a.json", "run/step2/kept.json")
    storage.remove("run/a.json")
    assert storage.keys("run") == ("run/step2/kept.json",)
