from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.sources.listing import list_sources
from videoar.tokenizer.config import ClipBucket

from ..datasets import LIMITS, dataset, listed, reasons
from ..videos import write_frames, write_video


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
    [(None, "does not exist"), ("file,text\na,b\n", "lacks the column caption, path"), ("", "has no rows")],
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
        "good.mp4": "its caption file is a link that leads out of the folder (source.follow_links=false)"
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
    assert sorted(reasons) == ["a.wmv", "b.gif", "c.flv", "notes.txt"]
    assert reasons.pop("notes.txt") == "is a text without a clip of its name"
    assert all("is of a kind that is not read; convert it" in reason for reason in reasons.values())


@pytest.mark.parametrize(
    ("raw", "caption"),
    [
        ("übermütig".encode(), "übermütig"),
        ("übermütig".encode("utf-8-sig"), "übermütig"),
        ("übermütig".encode("utf-16"), "übermütig"),
        ("übermütig".encode("utf-32"), "übermütig"),
        ("übermütig".encode("cp1252"), None),
        ("übermütig".encode("utf-16")[:-1], None),
    ],
)
def test_a_caption_in_an_unknown_encoding_costs_its_clip(unopened: Path, raw: bytes, caption: str | None) -> None:
    """Read with replacements it would be learnt as words; one old file must not end the plan of all others."""
    (unopened / "a.txt").write_bytes(raw)
    write_video(unopened / "b.mp4", num_frames=2)
    sources, skipped = list_sources(SourceConfig(path=str(unopened)))
    assert {source.path: source.caption for source in sources}.get("a.mp4") == caption
    assert "b.mp4" in {source.path for source in sources}
    assert [item.source for item in skipped] == ([] if caption else ["a.mp4"])
    assert all(item.reason.startswith("its caption file is not UTF-") for item in skipped)


@pytest.mark.parametrize("listed_as", ["NFC", "NFD"])
@pytest.mark.parametrize("stored_as", ["NFC", "NFD"])
@pytest.mark.parametrize("captions", ["text", "captions table", "table"])
def test_one_name_in_two_forms(
    tmp_path: Path, captions: str, listed_as: Literal["NFC", "NFD"], stored_as: Literal["NFC", "NFD"]
) -> None:
    """Files from a Mac have é as e and an accent; tables of the same clips have one character."""
    stored, listed_name = (unicodedata.normalize(form, "café") for form in (stored_as, listed_as))
    folder = tmp_path / "clips"
    write_video(folder / f"{stored}.mp4", num_frames=2)
    source = SourceConfig(path=str(folder))
    if captions == "text":
        (folder / f"{listed_name}.TXT").write_text("a café")
    elif captions == "table":
        (folder / "t.csv").write_text(f"uri,caption\n{listed_name}.mp4,a café\n")
        source = SourceConfig(kind="table", path=str(folder / "t.csv"))
    else:
        (tmp_path / "t.csv").write_text(f"path,caption\n{listed_name}.mp4,a café\n")
        source = SourceConfig(path=str(folder), captions=str(tmp_path / "t.csv"))
    sources, skipped = list_sources(source)
    assert not skipped
    assert [(item.path, item.caption) for item in sources] == [(f"{stored}.mp4", "a café")]


def test_files_are_known_by_their_content(tmp_path: Path) -> None:
    """Downloads have no suffix, or another kind's: half of a folder would be passed over without a word."""
    write_frames(tmp_path / "a.png", [np.zeros((32, 32, 3), np.uint8)]).rename(tmp_path / "picture")
    write_frames(tmp_path / "b.jpg", [np.zeros((32, 32, 3), np.uint8)]).rename(tmp_path / "picture.jfif")
    write_video(tmp_path / "c.mp4").rename(tmp_path / "film")
    write_video(tmp_path / "d.mp4").rename(tmp_path / "film.jpg")
    (tmp_path / "README").write_text("no film")
    (tmp_path / ".hidden").write_bytes((tmp_path / "picture").read_bytes())
    os.mkfifo(tmp_path / "pipe")
    for num_frames, wanted in ((1, {"film", "film.jpg", "picture", "picture.jfif"}), (5, {"film", "film.jpg"})):
        bucket = ClipBucket(schedule="32x32", num_frames=num_frames, fps=8.0)
        clips, skipped = plan_clips(dataset(tmp_path, bucket=bucket), LIMITS)
        assert {clip.path for clip in clips} == wanted
        assert {item.source for item in skipped} == {"picture", "picture.jfif", "pipe"} - wanted
