from __future__ import annotations

import json
import os
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
from videoar.data_pipeline.storage.objects import Storage

from ..datasets import BUCKET, LIMITS, reasons
from ..videos import frame_number, write_video


@pytest.mark.parametrize("row", ["5", "null", '"a.mp4"', "[]"])
def test_every_row_of_a_table_must_be_an_object(unopened: Path, row: str) -> None:
    """A bad line deep in a large table must be named, not end in a traceback."""
    table = unopened / "captions.jsonl"
    table.write_text(f'{{"path": "a.mp4", "caption": "x"}}\n{row}\n')
    with pytest.raises(InputError, match="row 2: is not an object"):
        list_sources(SourceConfig(path=str(unopened), captions=str(table)))


def test_a_table_in_another_encoding(unopened: Path) -> None:
    """Spreadsheets may write Latin-1."""
    table = unopened / "captions.csv"
    table.write_bytes("path,caption\na.mp4,übermütig\n".encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read"):
        list_sources(SourceConfig(path=str(unopened), captions=str(table)))


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
    """Relative and absolute paths and URLs are found; a path that leads out or does not exist gets a reason."""
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
        ("t.csv", b"uri,caption\ns3://key:secret@bucket/a.mp4,x\n", "a credential"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """A bad row deep in a table must be named, and a secret in it must not be printed."""
    (tmp_path / name).write_bytes(content)
    config = DatasetConfig(name="t", source=SourceConfig(kind="table", path=str(tmp_path / name)), bucket=BUCKET)
    with pytest.raises(InputError, match=message) as caught:
        plan_clips(config, LIMITS)
    assert "\n" not in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.slow
def test_tables_and_tars_on_object_storage(s3: S3Store, tmp_path: Path) -> None:
    """A table may name clips next to it or anywhere; a member of a tar is downloaded by its offset."""
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
    """A large table contains bad rows of every kind; each must get a reason, and the others are planned."""
    os.mkfifo(folder / "pipe.mp4")
    (folder / "out.mp4").symlink_to(write_video(folder.parent / "elsewhere" / "x.mp4"))
    rows = [{"caption": "bad", **ROWS[row]}, {"caption": "good", "uri": "good.mp4"}]
    (folder / "clips.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    source = SourceConfig(kind="table", path=str(folder / "clips.jsonl"))
    clips, skipped = plan_clips(DatasetConfig(name="d", source=source, bucket=BUCKET), DecodeLimits(wall_s=30.0))
    assert [bool(item.reason) for item in skipped] == [True]
    assert "CANA" not in f"{skipped} {clips}"
    assert {clip.caption for clip in clips} == {"good"}
