from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.s3_server import S3Store
from videoar.cluster.ground.errors import InputError, StoreError
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.storage.objects import Storage

from ..datasets import BUCKET, LIMITS
from ..videos import frame_number, write_video


@contextmanager
def as_nobody() -> Iterator[None]:
    """Drop the rights of root, if the tests run as root."""
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_read_is_recorded() -> None:
    """A listing omits it without an error: the dataset would be smaller than its owner thinks."""
    with tempfile.TemporaryDirectory() as name:
        open_folder, closed = Path(name), Path(name) / "closed"
        closed.mkdir()
        write_video(open_folder / "a.mp4")
        write_video(closed / "b.mp4")
        open_folder.chmod(0o755)
        closed.chmod(0)
        with as_nobody():
            found, skipped = list_sources(SourceConfig(path=name))
        closed.chmod(0o755)
    assert [source.name for source in found] == ["a.mp4"]
    assert [(item.source, item.reason) for item in skipped] == [
        ("closed/", "is a folder that cannot be listed (Permission denied)")
    ]


def test_a_folder_that_is_not_mounted_fails_no_clip(folder: Path) -> None:
    """A worker that starts before its disk is mounted must not record all clips as failed."""
    dataset = DatasetConfig(name="d", source=SourceConfig(path=str(folder)), bucket=BUCKET)
    clips, _ = plan_clips(dataset, DecodeLimits(wall_s=30.0))
    aside = folder.rename(folder.with_name("aside"))
    with FootageReader(dataset.source, DecodeLimits(wall_s=30.0), 1) as reader:
        with pytest.raises(StoreError, match="raw: does not exist, or is empty; mount it"):
            list(reader.read(clips))
        folder.mkdir()
        with pytest.raises(StoreError, match="or is empty; mount it"):
            list(reader.read(clips))
        folder.rmdir()
        (aside / "good.mp4").rename(aside / "other.mp4")
        aside.rename(folder)
        assert [item.reason for item in reader.read(clips)] == ["the file is gone"] * len(clips)


@pytest.mark.slow
def test_sources_on_object_storage(s3: S3Store, tmp_path: Path) -> None:
    """Clips on S3 are downloaded within a limit; one that was replaced after planning must not be used."""
    local, store = write_video(tmp_path / "a.mp4"), Storage.open(f"{s3.url}/clips")
    for name in ("a.mp4", "b.mp4"):
        store.write_file(name, str(local))
    config = DatasetConfig(name="s3", source=SourceConfig(path=store.url), bucket=BUCKET)
    clips, _ = plan_clips(config, LIMITS)
    assert {clip.path for clip in clips} == {"a.mp4", "b.mp4"}
    store.write("b.mp4", local.read_bytes()[:-1])
    with FootageReader(config.source, LIMITS, 2) as reader:
        found = list(reader.read(clips))
    assert [item.reason for item in found] == [""] * 3 + ["the file has changed since the plan was made"] * 3
    assert [frame_number(item.frames[0]) for item in found[:3] if item.frames is not None] == [0, 16, 31]
    with pytest.raises(InputError, match=r"2 x cannot be opened: has more bytes than data.max_source_bytes=1000"):
        plan_clips(config, DecodeLimits(max_bytes=1000))
