"""Where clips come from: links, tables, UCF-101. Each input is a source or has a reason."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tests.s3_server import S3Store
from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.sources.listing import count_inputs, list_sources
from videoar.data_pipeline.sources.source import Skipped
from videoar.data_pipeline.sources.ucf101 import class_words
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.config import ClipBucket

from ..videos import frame_number, write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)
LIMITS = DecodeLimits(wall_s=60.0)


def reasons(skipped: list[Skipped]) -> dict[str, str]:
    return {item.source: item.reason for item in skipped}


def test_links_are_taken_only_within_the_folder(tmp_path: Path) -> None:
    """A folder that somebody else has packed must not pull in files from elsewhere, nor loop for ever."""
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


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        lines = [",".join(rows[0])] + [",".join("" if v is None else str(v) for v in row.values()) for row in rows]
        path.write_text("\n".join(lines) + "\n")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_table_names_clips_wherever_they_are(tmp_path: Path, suffix: str) -> None:
    """Paths relative to the table, absolute ones and URLs; one that climbs out is named, one that is gone too."""
    write_video(tmp_path / "table" / "near.mp4")
    write_video(tmp_path / "far" / "b.mp4")
    none: dict[str, object] = {"caption": "", "label": None, "start_s": None, "end_s": None}
    rows: list[dict[str, object]] = [
        none | {"uri": "near.mp4", "caption": "near", "label": 3, "start_s": 0.5, "end_s": 1.3},
        none | {"uri": f"file://{tmp_path}/far/b.mp4", "caption": "far"},
        none | {"uri": f"{tmp_path}/far/b.mp4", "caption": "again"},
        none | {"uri": "../far/b.mp4", "caption": "climbs"},
        none | {"uri": "gone.mp4", "caption": "gone"},
    ]
    table = tmp_path / "table" / f"clips.{suffix}"
    write_table(table, rows)
    source = SourceConfig(kind="table", path=str(table))
    assert count_inputs(source) == 5
    clips, skipped = plan_clips(DatasetConfig(name="t", source=source, bucket=BUCKET), LIMITS)
    assert [(clip.caption, clip.label, clip.start_s) for clip in clips] == [
        ("near", 3, 0.5),
        *[("far", None, i * 0.625) for i in range(3)],
        *[("again", None, i * 0.625) for i in range(3)],
    ]
    assert reasons(skipped) == {
        "../far/b.mp4": "the path leads out of the table's folder",
        "gone.mp4": "cannot be opened: the file is gone",
    }
    with FootageReader(source, LIMITS, 1) as reader:
        numbers = [frame_number(item.frames[0]) for item in reader.read(clips) if item.frames is not None]
    assert numbers == [12, 0, 16, 31, 0, 16, 31]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"file,caption\na,b\n", "lacks the column uri"),
        ("t.jsonl", b'{"uri": "a.mp4"}\n', "lacks the column caption or label"),
        ("t.jsonl", b'{"uri": "a.mp4", "caption": "x"}\n{"uri"', "cannot be read"),
        ("t.parquet", b"PAR1 no table PAR1", "cannot be read"),
        ("t.csv", b"uri,caption,label\na.mp4,x,seven\n", "row 1 of the table: invalid literal"),
        ("t.csv", b"uri,caption\ns3://key:secret@bucket/a.mp4,x\n", "contains a credential"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """A stray row deep in a table must be named; a secret in it must not be repeated."""
    (tmp_path / name).write_bytes(content)
    config = DatasetConfig(name="t", source=SourceConfig(kind="table", path=str(tmp_path / name)), bucket=BUCKET)
    with pytest.raises(InputError, match=message) as caught:
        plan_clips(config, LIMITS)
    assert "\n" not in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.fixture
def ucf101(tmp_path: Path) -> Path:
    """The dataset's layout with three classes of two clips, as its archives unpack."""
    classes = ["ApplyEyeMakeup", "Basketball", "TaiChi"]
    names = [f"{name}/v_{name}_g{group:02d}_c01.avi" for name in classes for group in (1, 8)]
    for name in names:
        write_video(tmp_path / "UCF-101" / name, num_frames=20, size=(32, 32))
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("".join(f"{i} {name}\r\n" for i, name in enumerate(classes, 1)))
    train = [f"{name} {1 + i // 2}\n" for i, name in enumerate(names) if "_g08" in name]
    (lists / "trainlist01.txt").write_text("".join(train) + "Basketball/v_Basketball_g09_c01.avi 2\n")
    (lists / "testlist01.txt").write_text("".join(f"{name}\n" for name in names if "_g01" in name))
    return tmp_path


def test_ucf101_has_its_official_splits_labels_and_words(ucf101: Path) -> None:
    """Groups of one actor must stay on one side; a label off by one trains another class."""
    sides = {}
    for subset in ("train", "test"):
        sources, skipped = list_sources(SourceConfig(kind="ucf101", path=str(ucf101), subset=subset))
        sides[subset] = [(source.path.rsplit("/", 1)[1], source.label, source.caption) for source in sources]
        missing = {"UCF-101/Basketball/v_Basketball_g09_c01.avi"} if subset == "train" else set()
        assert set(reasons(skipped)) == missing
    assert sides["train"] == [
        ("v_ApplyEyeMakeup_g08_c01.avi", 0, "apply eye makeup"),
        ("v_Basketball_g08_c01.avi", 1, "basketball"),
        ("v_TaiChi_g08_c01.avi", 2, "tai chi"),
    ]
    assert [name for name, _, _ in sides["test"]] == [name.replace("_g08", "_g01") for name, _, _ in sides["train"]]
    config = DatasetConfig(name="ucf", source=SourceConfig(kind="ucf101", path=str(ucf101)), bucket=BUCKET)
    clips, _ = plan_clips(config, LIMITS)
    assert {(clip.label, clip.caption) for clip in clips} == {
        (0, "apply eye makeup"),
        (1, "basketball"),
        (2, "tai chi"),
    }
    assert class_words("YoYo") == "yo yo"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("ucfTrainTestlist/classInd.txt", "x", "holds no ucfTrainTestlist/classInd.txt"),
        ("UCF-101", "videos", "holds no folder UCF-101"),
        ("UCF-101/ApplyEyeMakeup", "UCF-101/B", "holds none of the 1 videos"),
    ],
)
def test_another_layout_is_answered_with_the_right_one(ucf101: Path, old: str, new: str, problem: str) -> None:
    """Half the archives unpacked, or unpacked elsewhere, is the commonest mistake."""
    (ucf101 / "ucfTrainTestlist" / "trainlist01.txt").write_text("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\n")
    (ucf101 / old).rename(ucf101 / new)
    with pytest.raises(InputError, match=f"{problem}.*lay it out as UCF-101/CLASS/v_CLASS_gNN_cNN.avi and ucfTrain"):
        list_sources(SourceConfig(kind="ucf101", path=str(ucf101)))


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("classInd.txt", "0 ApplyEyeMakeup\n1 Basketball\n2 TaiChi\n", "numbers two classes alike, or one 0"),
        ("classInd.txt", "1 ApplyEyeMakeup\n1 Basketball\n2 TaiChi\n", "numbers two classes alike, or one 0"),
        ("classInd.txt", "\u00b2 ApplyEyeMakeup\n", "which is no `number class`"),
        ("trainlist01.txt", "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 3\n", "the class 3, and classInd.txt 1"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(ucf101: Path, name: str, text: str, problem: str) -> None:
    """Wrong labels train a model that draws the wrong thing, and nothing else shows it."""
    (ucf101 / "ucfTrainTestlist" / name).write_text(text)
    with pytest.raises(InputError, match=problem):
        list_sources(SourceConfig(kind="ucf101", path=str(ucf101)))


def test_ucf101_may_be_made_of_links(ucf101: Path) -> None:
    """As on many clusters: the videos in one place, a folder of links in another."""
    (ucf101 / "UCF-101").rename(ucf101 / "store")
    for video in sorted((ucf101 / "store").rglob("*.avi")):
        link = ucf101 / "UCF-101" / video.relative_to(ucf101 / "store")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(video)
    found, _ = list_sources(SourceConfig(kind="ucf101", path=str(ucf101)))
    assert len(found) == 3
    shutil.rmtree(ucf101 / "UCF-101" / "TaiChi")
    (ucf101 / "UCF-101" / "TaiChi").symlink_to(ucf101 / "store" / "TaiChi")
    _, skipped = list_sources(SourceConfig(kind="ucf101", path=str(ucf101)))
    assert reasons(skipped)["UCF-101/TaiChi/v_TaiChi_g08_c01.avi"] == "is a link to a folder"


@pytest.mark.slow
def test_sources_on_object_storage(s3: S3Store, tmp_path: Path) -> None:
    """Clips on S3 are fetched to be decoded, within a cap; one that was replaced since the plan is not taken."""
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
    with pytest.raises(InputError, match=r"2 x cannot be opened: has more than the 1000 bytes accepted"):
        plan_clips(config, DecodeLimits(max_bytes=1000))


@pytest.mark.slow
def test_tables_and_tars_on_object_storage(s3: S3Store, tmp_path: Path) -> None:
    """A table lies beside its clips or names them anywhere; a member of a tar is fetched by its place alone."""
    local, store = write_video(tmp_path / "a.mp4"), Storage.open(f"{s3.url}/data")
    store.write_file("near/a.mp4", str(local))
    write_table(
        tmp_path / "t.parquet",
        [{"uri": "near/a.mp4", "caption": "near"}, {"uri": f"{s3.url}/data/near/a.mp4", "caption": "far"}],
    )
    store.write_file("t.parquet", str(tmp_path / "t.parquet"))
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        tar.add(local, "x/1.mp4")
        tar.add(local, "x/2.mp4")
    store.write_file("tars/t.tar", str(tmp_path / "t.tar"))
    for source, wanted in (
        (SourceConfig(kind="table", path=f"{store.url}/t.parquet"), ["near", "far"]),
        (SourceConfig(kind="webdataset", path=f"{store.url}/tars"), ["x/1.mp4", "x/2.mp4"]),
        (SourceConfig(kind="webdataset", path=f"{store.url}/tars/t.tar"), ["x/1.mp4", "x/2.mp4"]),
    ):
        clips, skipped = plan_clips(DatasetConfig(name="s3", source=source, bucket=BUCKET), LIMITS)
        assert not skipped
        assert list(dict.fromkeys(clip.caption or clip.member for clip in clips)) == wanted
        with FootageReader(source, LIMITS, 1) as reader:
            found = [frame_number(item.frames[0]) for item in reader.read(clips) if item.frames is not None]
        assert found == [0, 16, 31] * 2
