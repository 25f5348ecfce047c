from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.sources.listing import list_sources

from ..datasets import LIMITS, dataset, listed, reasons
from ..videos import write_video


def test_a_table_names_captions_labels_and_parts(films: Path) -> None:
    """Captions of two parts of one film must not be mixed up; a path outside the folder must not be opened."""
    table = films / "captions.jsonl"
    rows = [
        {"path": "a.mp4", "caption": "first", "label": 2, "end_s": 1.0},
        {"path": "a.mp4", "caption": "second", "start_s": 1.0},
        {"path": "../raw/a.mp4", "caption": "outside"},
        {"path": "gone.mp4", "caption": "gone"},
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    clips, skipped = plan_clips(dataset(films, source=SourceConfig(path=str(films), captions=str(table))), LIMITS)
    assert [(clip.caption, clip.label, clip.start_s) for clip in clips] == [("first", 2, 0.0), ("second", None, 1.0)]
    reasons = Counter(item.reason.split(" it")[0] for item in skipped)
    assert reasons["the captions table names"] == 2
    assert reasons["the captions table does not name"] == 6
    csv = films / "captions.csv"
    csv.write_text("path,caption,label\na.mp4,grey,\ndeep/b.mkv,long,1\n")
    clips, _ = plan_clips(dataset(films, source=SourceConfig(path=str(films), captions=str(csv))), LIMITS)
    assert {(clip.caption, clip.label) for clip in clips} == {("grey", None), ("long", 1)}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), ("file,text\na,b\n", "lacks the column caption, path"), ("", "lacks the column")],
)
def test_a_bad_captions_table_is_the_users_mistake(films: Path, content: str | None, message: str) -> None:
    """Training on empty captions because of a typo in a path would be noticed a week later."""
    table = films / "table.csv"
    if content is not None:
        table.write_text(content)
    with pytest.raises(InputError, match=message):
        plan_clips(dataset(films, source=SourceConfig(path=str(films), captions=str(table))), LIMITS)


def test_links_are_taken_only_within_the_folder(tmp_path: Path) -> None:
    """A folder from somebody else must not pull in files from elsewhere, and listing it must end."""
    folder, outside = tmp_path / "raw", tmp_path / "private.mp4"
    write_video(folder / "a.mp4", num_frames=2)
    outside.write_bytes(b"x")
    for name, target in {
        "inside.mp4": folder / "a.mp4",
        "outside.mp4": outside,
        "broken.mp4": tmp_path / "gone.mp4",
        "loop": folder,
        "dir.mp4": tmp_path,
    }.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.mp4")
    sources, skipped = list_sources(SourceConfig(path=str(folder)))
    assert {source.path for source in sources} == {"a.mp4", "inside.mp4"}
    found = reasons(skipped)
    assert set(found) == {"outside.mp4", "broken.mp4", "loop", "dir.mp4", "pipe.mp4"}
    assert "leads out of the folder" in found["outside.mp4"]
    assert found["broken.mp4"] == "is a broken link"
    assert found["loop"] == found["dir.mp4"] == "is a link to a folder"
    assert {item.kind for item in skipped} == {"refused"}
    sources, _ = list_sources(SourceConfig(path=str(folder), follow_links=True))
    assert "outside.mp4" in {source.path for source in sources}


def test_a_caption_link_must_not_lead_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    """A folder from somebody else must not read other files of this machine as captions."""
    (tmp_path / "secret").write_text("TOPSECRET")
    (folder / "good.txt").symlink_to(tmp_path / "secret")
    sources, skipped = listed(path=str(folder))
    assert not sources
    assert skipped == {
        "good.mp4": "its caption good.txt is a link that leads out of the folder (source.follow_links=false)"
    }


@pytest.mark.parametrize("name", ["good.txt", "shard.tar"])
def test_a_pipe_does_not_hang_the_plan(folder: Path, name: str) -> None:
    """Opening a pipe waits for a writer that never comes."""
    os.mkfifo(folder / name)
    kind = "webdataset" if name.endswith("tar") else "folder"
    sources, skipped = listed(kind=kind, path=str(folder))
    assert not sources
    assert "is not a regular file" in "".join(skipped.values())


def test_media_of_a_kind_that_is_not_read_are_recorded(folder: Path) -> None:
    """Without a record, half of a folder could be missing unnoticed."""
    for name in ("a.wmv", "b.gif", "notes.txt", "c.flv"):
        (folder / name).write_bytes(b"x")
    _, reasons = listed(path=str(folder))
    assert sorted(reasons) == ["a.wmv", "b.gif", "c.flv"]
    assert all("is of a kind that is not read; convert it" in reason for reason in reasons.values())


def test_the_caption_file_of_a_clip_must_be_utf8(unopened: Path) -> None:
    """Latin-1 that is read as UTF-8 with replacements would be learnt as words."""
    (unopened / "a.txt").write_bytes("übermütig".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.txt: is not UTF-8"):
        list_sources(SourceConfig(path=str(unopened)))
