"""Tars of media: their members, and the ways in which a tar may be hostile or damaged."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.sources.source import Skipped, Source
from videoar.data_pipeline.sources.tars import tar_sources

from ..datasets import BUCKET, LIMITS, listed
from ..videos import frame_number, write_video

MAX_BYTES = 1 << 20


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4").read_bytes()


def member(name: str, payload: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """The bytes of one member in a tar, with any name."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(payload), kind, link
    body = payload + b"\0" * (-len(payload) % tarfile.BLOCKSIZE)
    return info.tobuf(tarfile.GNU_FORMAT) + body


def members_of(path: Path) -> tuple[list[Source], dict[str, str]]:
    found = list(tar_sources(SourceConfig(kind="webdataset", path=str(path)), MAX_BYTES))
    return (
        [item for item in found if isinstance(item, Source)],
        {item.source: item.reason for item in found if isinstance(item, Skipped)},
    )


END = b"\0" * 1024


def test_members_become_clips_with_their_captions(tmp_path: Path, video: bytes) -> None:
    """The frames must be those of the member, and the caption of its own key."""
    facts = json.dumps({"caption": "from json", "label": 7}).encode()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.tar").write_bytes(
        member("x/0001.json", facts)
        + member("x/0001.mp4", video)
        + member("x/", kind=tarfile.DIRTYPE)
        + member("x/0002.mp4", video)
        + member("x/0002.txt", b"zwei")
        + END
    )
    (tmp_path / "a" / "1.tar").write_bytes(member("0001.mp4", video) + member("0001.cls", b"3") + END)
    source = SourceConfig(kind="webdataset", path=str(tmp_path / "a"))
    clips, skipped = plan_clips(DatasetConfig(name="w", source=source, bucket=BUCKET), LIMITS)
    assert not skipped
    assert [(c.path, c.member, c.caption, c.label) for c in clips[::3]] == [
        ("0.tar", "x/0001.mp4", "from json", 7),
        ("0.tar", "x/0002.mp4", "zwei", None),
        ("1.tar", "0001.mp4", "", 3),
    ]
    assert len({clip.key for clip in clips}) == 9
    with FootageReader(source, LIMITS, 1) as reader:
        assert [frame_number(f.frames[0]) for f in reader.read(clips) if f.frames is not None] == [0, 16, 31] * 3


HOSTILE = {
    "../x.mp4": (member("../x.mp4", b"v"), "leads out of the tar"),
    "a/../../x.mp4": (member("a/../../x.mp4", b"v"), "leads out of the tar"),
    "..": (member("../", kind=tarfile.DIRTYPE), "leads out of the tar"),
    "/etc/x.mp4": (member("/etc/x.mp4", b"v"), "has an absolute name"),
    "soft.mp4": (member("soft.mp4", kind=tarfile.SYMTYPE, link="/etc/passwd"), "is a link"),
    "hard.mp4": (member("hard.mp4", kind=tarfile.LNKTYPE, link="good.mp4"), "is a link"),
    "dev.mp4": (member("dev.mp4", kind=tarfile.CHRTYPE), "is a device or pipe"),
    "pipe.mp4": (member("pipe.mp4", kind=tarfile.FIFOTYPE), "is a device or pipe"),
    "weights.pkl": (member("weights.pkl", b"\x80\x04."), "is a pickle or may hold one (.pkl)"),
    "weights.pt": (member("weights.pt", b"PK"), "is a pickle or may hold one (.pt)"),
    "run.sh": (member("run.sh", b"#!"), "is of a kind that is not read (.sh)"),
    "huge.mp4": (member("huge.mp4", b"v" * (MAX_BYTES + 1)), "has more bytes than"),
    "bad.json": (member("bad.json", b"{"), "cannot be used: is not JSON ("),
    "deep.json": (member("deep.json", b"[" * 100_000), "cannot be used: is nested too deeply"),
    "latin.txt": (member("latin.txt", b"\xfc"), "cannot be used: is not UTF-8"),
    "long.txt": (member("long.txt", b"x" * (MAX_BYTES + 1)), "has more bytes than"),
    "twin.mp4": (member("twin.mp4", b"v") * 2, "has a name that occurred before"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_members_are_refused_by_name(tmp_path: Path, video: bytes, name: str) -> None:
    """None may be opened, followed or extracted; the members before and after it are still taken."""
    raw, reason = HOSTILE[name]
    path = tmp_path / "t.tar"
    path.write_bytes(member("good.mp4", video) + raw + member("last.mp4", video) + END)
    sources, refused = members_of(path)
    taken = ["good.mp4", "last.mp4"] if name != "twin.mp4" else ["good.mp4", "twin.mp4", "last.mp4"]
    assert [source.member for source in sources] == taken
    assert list(refused) == [f"t.tar!{name}"]
    assert reason in refused[f"t.tar!{name}"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.tar"], "nothing was written"


def test_a_sparse_member_of_ten_gigabytes_is_refused(tmp_path: Path, video: bytes) -> None:
    """A member of a kilobyte that would fill the disk when it is unpacked."""
    info = tarfile.TarInfo("sparse.mp4")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[386:410] = b"00000000000\0" + b"00000000000\0"
    raw[483:495] = tarfile.itn(10 << 30, 12, tarfile.GNU_FORMAT)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    path = tmp_path / "t.tar"
    path.write_bytes(member("good.mp4", video) + bytes(raw) + END)
    sources, refused = members_of(path)
    assert [source.member for source in sources] == ["good.mp4"]
    assert "is sparse" in refused["t.tar!sparse.mp4"]


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path, video: bytes) -> None:
    """`tarfile` reads extended headers into memory, regardless of the length they claim."""
    claim = tarfile.TarInfo("././@LongLink")
    claim.type, claim.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
    path = tmp_path / "t.tar"
    path.write_bytes(member("good.mp4", video) + claim.tobuf(tarfile.GNU_FORMAT) + END)
    sources, refused = members_of(path)
    assert [source.member for source in sources] == ["good.mp4"]
    assert "a header claims 4294967296 bytes" in refused["t.tar"]


@pytest.mark.parametrize("damage", ["header", "cut", "page", "gzip"])
def test_a_damaged_tar_is_recorded_and_what_came_before_is_kept(tmp_path: Path, video: bytes, damage: str) -> None:
    """`tarfile` takes a damaged header for the end of the tar: the rest would be lost without a record."""
    whole = member("a.mp4", video) + member("b.mp4", video) + member("c.mp4", video) + END
    second = len(member("a.mp4", video))
    raw = {
        "header": whole[:second] + b"x" + whole[second + 1 :],
        "cut": whole[: second + 2000],
        "page": b"<html>" + b" " * 2000,
        "gzip": b"\x1f\x8b\x08" + b"\0" * 2000,
    }[damage]
    (tmp_path / "t.tar").write_bytes(raw)
    sources, refused = members_of(tmp_path / "t.tar")
    assert [source.member for source in sources] == (["a.mp4"] if damage in ("header", "cut") else [])
    assert list(refused) == (["t.tar"] if damage != "cut" else ["t.tar!b.mp4", "t.tar"])
    reason = next(iter(refused.values()))
    assert {"header": "is damaged at byte", "cut": "goes beyond the end", "page": "cannot", "gzip": "cannot"}[
        damage
    ] in reason


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
def test_a_member_that_cannot_be_stored_in_a_plan(tmp_path: Path, member: str, content: str, reason: str) -> None:
    """It would end the planning hours later, when the table is written, without naming the member."""
    clip = write_video(tmp_path / "x.mp4", num_frames=2).read_bytes()
    tar(tmp_path / "1.tar", {"a.mp4": clip, member: content.encode(), "b.mp4": clip})
    sources, skipped = listed(kind="webdataset", path=str(tmp_path / "1.tar"))
    assert [source.member for source in sources] == ["b.mp4"]
    assert reason in skipped["1.tar!a.mp4"]


def test_a_chain_of_headers_is_refused(tmp_path: Path) -> None:
    """`tarfile` calls itself once per header of a long name: three thousand in a row exceed the stack."""
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 1
    block = head.tobuf(tarfile.GNU_FORMAT) + b"x" + bytes(511)
    (tmp_path / "1.tar").write_bytes(block * 3000)
    sources, skipped = listed(kind="webdataset", path=str(tmp_path / "1.tar"))
    assert not sources
    assert "cannot be read" in skipped["1.tar"]


def captions_of(path: Path, members: dict[str, bytes]) -> tuple[dict[str, tuple[str, int | None]], dict[str, str]]:
    """Caption and label by medium, and what is left out."""
    tar(path / "1.tar", members)
    sources, skipped = members_of(path / "1.tar")
    return {source.member: (source.caption, source.label) for source in sources}, skipped


def test_dots_in_names_mix_no_captions(tmp_path: Path) -> None:
    """By WebDataset's rule both clips have the key `walk_0`, and the last caption of the two."""
    names = ("walk_0.5s_001", "walk_0.7s_002")
    own = {f"{name}{suffix}": name.encode() for name in names for suffix in (".mp4", ".txt")}
    assert captions_of(tmp_path, own) == ({f"{name}.mp4": (name, None) for name in names}, {})
    lost = {name: raw for name, raw in own.items() if name != "walk_0.7s_002.mp4"}
    found, skipped = captions_of(tmp_path, lost)
    assert found == {"walk_0.5s_001.mp4": ("walk_0.5s_001", None)}
    assert skipped == {"1.tar!walk_0.7s_002.txt": "is a text without a clip of its name"}


def test_media_of_one_sample_share_its_text(tmp_path: Path) -> None:
    """WebDataset's own meaning of names with several dots."""
    found, skipped = captions_of(
        tmp_path,
        {"1.left.mp4": b"v", "1.right.mp4": b"v", "1.txt": b"two views", "2.video.mp4": b"v", "2.about.txt": b"one"},
    )
    shared = ("two views", None)
    assert found == {"1.left.mp4": shared, "1.right.mp4": shared, "2.video.mp4": ("one", None)}
    assert not skipped


def test_a_caption_may_stand_apart_from_its_clip(tmp_path: Path) -> None:
    """`tar --sort` and tars that were appended to have all clips first."""
    found, skipped = captions_of(
        tmp_path, {"a.mp4": b"v", "b.mp4": b"v", "a.txt": b"first", "b.json": b'{"caption": "second", "label": 2.0}'}
    )
    assert (found, skipped) == ({"a.mp4": ("first", None), "b.mp4": ("second", 2)}, {})


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        ("a.json", b'{"caption": ["x"]}', "its caption is of type list, not text"),
        ("a.json", b'{"caption": {"en": "x"}}', "its caption is of type dict, not text"),
        ("a.json", b"[1]", "is not an object"),
        ("a.cls", b"seven", "label=seven is not a whole number"),
        ("a.txt", "ü".encode("cp1252"), "is not UTF-8"),
    ],
)
def test_a_text_of_the_wrong_kind_costs_its_clip(tmp_path: Path, name: str, raw: bytes, reason: str) -> None:
    """Turned into words, a list would be learnt with its brackets; without a caption the clip would teach nothing."""
    found, skipped = captions_of(tmp_path, {"a.mp4": b"v", name: raw, "b.mp4": b"v", "b.txt": "ü".encode("utf-16")})
    assert found == {"b.mp4": ("ü", None)}
    assert list(skipped) == ["1.tar!a.mp4"]
    assert f"its {name[1:]} cannot be used: {reason}" in skipped["1.tar!a.mp4"]


def test_compressed_tars_are_named(tmp_path: Path) -> None:
    """Passed over in silence, a folder would seem to hold half of its clips."""
    tar(tmp_path / "a.tar", {"a.mp4": b"v"})
    (tmp_path / "b.tar.gz").write_bytes(b"any")
    sources, skipped = members_of(tmp_path)
    assert [source.member for source in sources] == ["a.mp4"]
    assert "is compressed" in skipped["b.tar.gz"]
    with pytest.raises(InputError, match=r"b\.tar\.gz: is compressed"):
        members_of(tmp_path / "b.tar.gz")
