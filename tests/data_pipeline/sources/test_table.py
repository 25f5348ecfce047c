from __future__ import annotations

import json
import os
import re
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

BAD = {
    "c.jsonl": {
        "5": "is not an object",
        "null": "is not an object",
        "[]": "is not an object",
        '{"path": "b.mp4"': "is not JSON (Expecting ',' delimiter, character 17)",
        "[" * 100_000: "is nested too deeply",
        '"' + "x" * (1 << 20) + '"': "is longer than 1048576 characters",
        '{"path": "b.mp4", "caption": ["x"]}': "its caption is of type list, not text",
        '{"path": "b.mp4", "caption": {"en": "x"}}': "its caption is of type dict, not text",
        '{"path": "b.mp4", "caption": "x", "label": "seven"}': "label=seven is not a whole number",
        '{"path": "b.mp4", "caption": "x", "label": 1.5}': "label=1.5 is not a whole number",
        '{"path": "b.mp4", "caption": "x", "label": true}': "label=True is not a whole number",
        '{"path": "b.mp4", "caption": "x", "start_s": "two"}': "start_s=two is not a number",
        '{"path": "b.mp4", "caption": "\xfc"}': "is not UTF-8",
    },
    "c.csv": {
        "b.mp4,a red, round ball,": "has 4 fields and the header 3; text that holds commas needs quotes",
        "b.mp4": "has 1 field and the header 3",
        'b.mp4,"x" y,1': "is not CSV (',' expected after '\"')",
        "b.mp4,x,seven": "label=seven is not a whole number",
        "b.mp4,\xfc,1": "is not UTF-8",
    },
}


@pytest.mark.parametrize(("table", "row"), [(name, row) for name, rows in BAD.items() for row in rows])
def test_a_bad_row_is_named_by_its_line_and_the_others_are_read(unopened: Path, table: str, row: str) -> None:
    """One broken line deep in a table of a million clips must not end the planning of all."""
    (unopened / "a.mp4").rename(unopened / "c.mp4")
    (unopened / "b.mp4").write_bytes(b"any bytes")
    good = ['{"path": "c.mp4", "caption": "x"}'] if table == "c.jsonl" else ["path,caption,label", "c.mp4,x,3.0"]
    lines = [*good[:-1], "", row, good[-1]]
    (unopened / table).write_bytes("\n".join(lines).encode("latin-1"))
    found, skipped = list_sources(SourceConfig(path=str(unopened), captions=str(unopened / table)))
    assert [(item.path, item.caption) for item in found] == [("c.mp4", "x")]
    reasons = [item.reason for item in skipped if "does not name it" not in item.reason]
    assert reasons == [f"line {len(good) + 1} of the table: {BAD[table][row]}"]


def test_an_open_quote_takes_no_other_clip_along_in_silence(unopened: Path) -> None:
    """The reader of CSV takes all lines up to the next quote for one text."""
    table = unopened / "c.csv"
    table.write_text('path,caption\nb.mp4,"open\na.mp4,"closed"\na.mp4,"x"\n')
    found, skipped = list_sources(SourceConfig(path=str(unopened), captions=str(table)))
    assert [(item.path, item.caption) for item in found] == [("a.mp4", "x")]
    assert [item.reason for item in skipped] == ["lines 2 to 3 of the table: is not CSV (',' expected after '\"')"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["c.csv", "c.jsonl"])
def test_a_byte_order_mark_names_the_encoding(unopened: Path, name: str, encoding: str) -> None:
    """Spreadsheets save "Unicode text" as UTF-16."""
    text = "path,caption\na.mp4,übermütig\n" if name == "c.csv" else '{"path": "a.mp4", "caption": "übermütig"}\n'
    (unopened / name).write_bytes(text.encode(encoding))
    found, skipped = list_sources(SourceConfig(path=str(unopened), captions=str(unopened / name)))
    assert [(item.caption, skipped) for item in found] == [("übermütig", [])]


def test_millions_of_bad_rows_are_one_reason(tmp_path: Path) -> None:
    """A plan counts what is left out by reason."""
    write_video(tmp_path / "a.mp4", num_frames=2)
    rows = ["uri,caption,label", "a.mp4,x,1", *["a.mp4,x,one"] * 300]
    (tmp_path / "c.csv").write_text("\n".join(rows))
    _, skipped = list_sources(SourceConfig(kind="table", path=str(tmp_path / "c.csv")))
    assert len(skipped) == 300
    assert len({item.reason for item in skipped}) == 101


def test_a_table_in_another_encoding(unopened: Path) -> None:
    """Nothing says which encoding it is."""
    table = unopened / "captions.csv"
    table.write_bytes("path,caption\na.mp4,übermütig\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"holds no row that can be read \(line 2 is not UTF-8\)"):
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
        ("t.jsonl", b'{"uri": "a.mp4"', "holds no row that can be read (line 1 is not JSON"),
        ("t.jsonl", b"\x89PNG\r\n\x1a\n\xff\xfe" * 2000, "holds no row that can be read (line 1 is not UTF-8"),
        ("t.parquet", b"PAR1 no table PAR1", "cannot be read"),
        ("t.csv", b"uri,caption,label\na.mp4,x,seven\n", "line 2 of the table: label=seven is not a whole number"),
        ("t.csv", b"uri,caption\ns3://key:secret@bucket/a.mp4,x\n", "a credential"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """A bad row deep in a table must be named, and a secret in it must not be printed."""
    (tmp_path / name).write_bytes(content)
    config = DatasetConfig(name="t", source=SourceConfig(kind="table", path=str(tmp_path / name)), bucket=BUCKET)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
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
    "not finite": {"uri": "good.mp4", "start_s": float("inf")},
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
