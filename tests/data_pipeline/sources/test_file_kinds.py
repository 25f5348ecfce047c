from __future__ import annotations

import itertools
import tarfile
from pathlib import Path

import pytest

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.sources.file_kinds import NO_MEDIA, NOT_READ, FileKinds
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.sources.source import Skipped
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.config import ClipBucket

from ..datasets import LIMITS, dataset, listed
from ..videos import write_video

PNG = b"\x89PNG\r\n\x1a\n"
MEDIA = (
    "film.download",
    "clip.mp4.1",
    "image.jpg?x=1&y=a.b",
    "photo.jpg_large",
    "a.mp4~",
    "b.MP4.bak",
    "plain",
    "c.2021",
)


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """Media of names that downloads and copies have, companions, and files of no known kind."""
    folder = tmp_path / "raw"
    write_video(folder / "good.mp4", num_frames=2)
    for name in MEDIA:
        (folder / name).write_bytes((folder / "good.mp4").read_bytes())
    for name in ("x.csv", "x.md", "README", "LICENSE.txt", "x.srt", ".hidden", ".DS_Store", "Thumbs.db"):
        (folder / name).write_bytes(PNG)
    (folder / "pages.heif_1").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "film.mp4.part").write_bytes(PNG)
    (folder / "old.zip").write_bytes(PNG)
    (folder / "x.strange").write_bytes(b"nothing that is known")
    (folder / "empty.strange").write_bytes(b"")
    return folder


LEFT_OUT = {
    "pages.heif_1": NOT_READ,
    "film.mp4.part": "is an unfinished download (.part)",
    "old.zip": "is an archive (.zip); unpack it, or read tars with source.kind=webdataset",
    "x.strange": NO_MEDIA,
    "empty.strange": NO_MEDIA,
}


def test_unknown_suffixes_are_looked_into(downloads: Path) -> None:
    """Browsers and scripts name files as they like: half of a download would be missing without a word."""
    sources, skipped = listed(path=str(downloads))
    assert {source.path for source in sources} == {"good.mp4", *MEDIA}
    assert skipped == LEFT_OUT
    bucket = ClipBucket(schedule="32x32", num_frames=1)
    clips, _ = plan_clips(dataset(downloads, bucket=bucket, max_clips_per_source=1), LIMITS)
    assert {clip.path for clip in clips} == {"good.mp4", *MEDIA}


def test_members_of_tars_too(downloads: Path, tmp_path: Path) -> None:
    """The same files in a tar are the same clips."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for path in sorted(downloads.iterdir()):
            tar.add(path, path.name)
    sources, skipped = listed(kind="webdataset", path=str(tmp_path / "a.tar"))
    assert {source.member for source in sources} == {"good.mp4", *MEDIA}
    assert {name.partition("!")[2] for name in skipped} >= set(LEFT_OUT)


def test_another_store_is_asked_a_bounded_number_of_times(memory: Storage) -> None:
    """A million files of an unknown suffix must not cost a million requests before anything is planned."""
    looks = 0

    def look() -> bytes:
        nonlocal looks
        looks += 1
        return b"nothing"

    kinds = FileKinds()
    assert {kinds.problem(f"{i}.strange", look) for i in range(1000)} == {NO_MEDIA}
    assert looks == 100
    contents = itertools.cycle([PNG, b""])
    assert [kinds.problem(f"{i}.other", lambda: next(contents)) for i in range(1000)] == ["", NO_MEDIA] * 500
    memory.write("a.jpg?x=1", PNG)
    memory.write("b.unknown", b"text")
    sources, skipped = listed(path=memory.url)
    assert [source.path for source in sources] == ["a.jpg?x=1"]
    assert skipped == {"b.unknown": NO_MEDIA}


def test_captions_without_a_clip_are_on_record(tmp_path: Path) -> None:
    """A clip that was renamed or lost leaves its caption behind; nobody would look for it."""
    write_video(tmp_path / "a.mp4", num_frames=2)
    write_video(tmp_path / "b.mp4", num_frames=2)
    (tmp_path / "c.wmv").write_bytes(b"x")
    for name in "a.txt a.json b.json c.txt lost.txt Lost2.TXT lost.json lost.caption README.txt".split():
        (tmp_path / name).write_text("{}")
    sources, skipped = list_sources(SourceConfig(path=str(tmp_path)))
    assert {source.path: source.caption for source in sources} == {"a.mp4": "{}", "b.mp4": ""}
    reasons = {item.source: item.reason for item in skipped}
    alone = "is a text without a clip of its name"
    assert reasons.pop("b.json").startswith("is not read: the captions of a folder are in .txt files")
    assert reasons.pop("c.wmv") == NOT_READ
    assert reasons == dict.fromkeys(["lost.txt", "Lost2.TXT", "lost.json", "lost.caption"], alone)
    texts = [item for item in skipped if item.source != "c.wmv"]
    assert all(isinstance(item, Skipped) and item.is_input and item.seconds == 0 for item in texts)
