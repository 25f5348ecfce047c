"""One bad input among many: it is left out with a reason, and neither ends the plan nor leads out of the folder."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.sources.source import Source
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.config import ClipBucket

from ..videos import write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one sound clip, `good.mp4`."""
    write_video(tmp_path / "raw" / "good.mp4", num_frames=25)
    return tmp_path / "raw"


def listed(**source: object) -> tuple[list[Source], dict[str, str]]:
    sources, skipped = list_sources(SourceConfig(**source))  # type: ignore[arg-type]
    return sources, {item.source: item.reason for item in skipped}


def test_a_caption_link_leads_nowhere_else(folder: Path, tmp_path: Path) -> None:
    """Whoever packs a folder must not read other files of this machine through captions."""
    (tmp_path / "secret").write_text("TOPSECRET")
    (folder / "good.txt").symlink_to(tmp_path / "secret")
    sources, skipped = listed(path=str(folder))
    assert not sources
    assert skipped == {
        "good.mp4": "its caption good.txt is a link that leads out of the folder (source.follow_links=false)"
    }


@pytest.mark.parametrize("name", ["good.txt", "shard.tar"])
def test_a_pipe_does_not_hang_the_plan(folder: Path, name: str) -> None:
    """Opening one waits for a writer that never comes."""
    os.mkfifo(folder / name)
    kind = "webdataset" if name.endswith("tar") else "folder"
    sources, skipped = listed(kind=kind, path=str(folder))
    assert not sources
    assert "is not a regular file" in "".join(skipped.values())


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, where the tests have them."""
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_read_is_on_record() -> None:
    """Listings pass over it: a dataset half as large as one thinks."""
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


def test_a_name_that_is_no_text_is_escaped(folder: Path) -> None:
    """Plans are UTF-8; file systems are not."""
    os.rename(folder / "good.mp4", os.fsencode(folder) + b"/inv\xff.mp4")
    write_video(folder / "good.mp4", num_frames=2)
    sources, skipped = listed(path=str(folder))
    assert [source.path for source in sources] == ["good.mp4"]
    assert skipped == {"inv\\udcff.mp4": "its name is not UTF-8 text"}


def tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize(
    ("member", "content", "reason"),
    [("a.json", json.dumps({"caption": "\ud800"}), "caption is not UTF-8"), ("a.cls", "9" * 30, "label has more than")],
)
def test_a_member_that_cannot_stand_in_a_plan(tmp_path: Path, member: str, content: str, reason: str) -> None:
    """It would end the plan when it is written, hours later and without a name."""
    clip = write_video(tmp_path / "x.mp4", num_frames=2).read_bytes()
    tar(tmp_path / "1.tar", {"a.mp4": clip, member: content.encode(), "b.mp4": clip})
    sources, skipped = listed(kind="webdataset", path=str(tmp_path / "1.tar"))
    assert [source.member for source in sources] == ["b.mp4"]
    assert reason in skipped["1.tar!a.mp4"]


def test_a_chain_of_headers_is_damage(tmp_path: Path) -> None:
    """Three thousand long names in a row make the reader call itself three thousand times."""
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 1
    block = head.tobuf(tarfile.GNU_FORMAT) + b"x" + bytes(511)
    (tmp_path / "1.tar").write_bytes(block * 3000)
    sources, skipped = listed(kind="webdataset", path=str(tmp_path / "1.tar"))
    assert not sources
    assert "cannot be read" in skipped["1.tar"]


ROWS = {
    "long name": {"uri": "x" * 300 + ".mp4"},
    "a file as a folder": {"uri": "good.mp4/b.mp4"},
    "a pipe": {"uri": "pipe.mp4"},
    "bad URL": {"uri": "http://[b/x.mp4"},
    "unknown protocol": {"uri": "foo://b/x.mp4"},
    "NUL": {"uri": "a\0.mp4"},
    "half a surrogate": {"uri": "\ud800.mp4"},
    "end before start": {"uri": "good.mp4", "start_s": 2, "end_s": 1},
    "not a number": {"uri": "good.mp4", "start_s": float("nan")},
    "words for a time": {"uri": "good.mp4", "start_s": "two"},
    "half a label": {"uri": "good.mp4", "label": 1.7},
    "an object for a caption": {"uri": "good.mp4", "caption": {"en": "a dog"}},
    "a name for a store": {"uri": "file://good.mp4"},
    "a key": {"uri": "s3://KEY:CANARY@bucket/x.mp4"},
    "a signature": {"uri": "http://127.0.0.1:9/x.mp4?X-Amz-Signature=CANARY"},
    "a secret with a slash": {"uri": "s3://KEY:CANA/RYX@bucket/x.mp4"},
    "a key of an interface": {"uri": "http://127.0.0.1:9/x.mp4?api_key=CANARY"},
    "a token": {"uri": "http://127.0.0.1:9/x.mp4?access_token=CANARY&x=1"},
    "a link that leads out": {"uri": "out.mp4"},
}


@pytest.mark.parametrize("row", ROWS)
def test_one_bad_row_of_a_table(folder: Path, row: str) -> None:
    """A table of a million rows has them all; each is a reason, and the others are planned."""
    os.mkfifo(folder / "pipe.mp4")
    (folder / "out.mp4").symlink_to(write_video(folder.parent / "elsewhere" / "x.mp4"))
    rows = [{"caption": "bad", **ROWS[row]}, {"caption": "good", "uri": "good.mp4"}]
    (folder / "clips.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    source = SourceConfig(kind="table", path=str(folder / "clips.jsonl"))
    clips, skipped = plan_clips(DatasetConfig(name="d", source=source, bucket=BUCKET), DecodeLimits(wall_s=30.0))
    assert [bool(item.reason) for item in skipped] == [True]
    assert "CANA" not in f"{skipped} {clips}"
    assert {clip.caption for clip in clips} == {"good"}


def test_a_folder_that_is_not_mounted_is_no_word_about_its_clips(folder: Path) -> None:
    """On record as failures, all clips would be lost to a worker that started before its disk."""
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


def test_media_of_a_kind_that_is_not_read_are_on_record(folder: Path) -> None:
    """Left out without a word, half of a folder is missing and nobody knows."""
    for name in ("a.wmv", "b.gif", "notes.txt", "c.flv"):
        (folder / name).write_bytes(b"x")
    _, reasons = listed(path=str(folder))
    assert sorted(reasons) == ["a.wmv", "b.gif", "c.flv"]
    assert all("is of a kind that is not read; convert it" in reason for reason in reasons.values())


@pytest.mark.parametrize("url", ["s3://[b/x", "memory://a::file://b", "foo://x"])
def test_a_url_that_is_none_is_one_line(url: str) -> None:
    """A typing error is no traceback."""
    with pytest.raises(InputError, match="url="):
        Storage.open(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/data", "ftp://127.0.0.1:9/data"])
def test_a_store_that_does_not_answer_is_one_line(url: str) -> None:
    """Each protocol raises errors of its own, and some as soon as they are named."""
    with pytest.raises(StoreError, match=url):
        Storage.open(url).write("key", b"1")
    with pytest.raises(StoreError, match=url):
        Storage.open(url).folders()


def test_a_local_name_with_colons_is_that_file(tmp_path: Path) -> None:
    """fsspec takes `a::b` for a chain, and wrote to `a`."""
    Storage.open(str(tmp_path / "o::x")).write("key", b"1")
    assert (tmp_path / "o::x" / "key").read_bytes() == b"1"
