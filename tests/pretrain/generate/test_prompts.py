"""Files of prompts: what lines mean, which videos are still to be made, and which are made together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.prompts import Job, batches, jobs, read_prompts, record
from videoar.pretrain.generate.request import Request
from videoar.pretrain.generate.writers import Kind

WEIGHTS = {"run": "x", "step": 5}


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_each_line_of_a_text_is_a_caption(tmp_path: Path) -> None:
    """With a seed of its own: the same caption twice is to give two videos."""
    path = written(tmp_path / "p.txt", "a boat", "", "  a boat ", '{"prompt": 1}')
    found = read_prompts(path, {"seed": 5, "guidance": "3"})
    assert [(line, one.prompt, one.seed, one.guidance) for line, one in found.items()] == [
        (1, "a boat", 5, "3"), (3, "a boat", 6, "3"), (4, '{"prompt": 1}', 7, "3")
    ]  # fmt: skip


def test_only_the_ends_of_lines_end_them(tmp_path: Path) -> None:
    """JSON may hold U+2028 and U+0085 as they are; files of Windows begin with a mark and have CRLF."""
    path = tmp_path / "p.jsonl"
    path.write_bytes('\ufeff{"prompt": "a\u2028b"}\r\n\r\n{"prompt": "c\u0085d"}\r\n'.encode())
    assert [one.prompt for one in read_prompts(path, {}).values()] == ["a\u2028b", "c\u0085d"]


def test_options_of_a_line_replace_those_of_the_command(tmp_path: Path) -> None:
    """Paths are below the folder of the file, wherever the command runs."""
    lines = '{"prompt": "a", "seed": 3, "size": "32x32", "image": "a.png"}', '{"label": 2, "guidance": 1, "top_p": 0.5}'
    common = {"num_frames": 9, "guidance": "5", "seed": 0}
    first, second = read_prompts(written(tmp_path / "p.jsonl", *lines), common).values()
    assert (first.prompt, first.seed, first.schedule, first.image) == ("a", 3, "32x32", tmp_path / "a.png")
    assert (first.guidance, first.num_frames) == ("5", 9)
    assert (second.label, second.guidance, second.top_p, second.seed, second.num_frames) == (2, 1, 0.5, 1, 9)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        (
            "p.jsonl",
            '{"prompt": "a", "num_frames": 6}',
            r"prompts \(line 3\): num_frames=6: is not 1 \+ 4n; use 5 or 9",
        ),
        ("p.jsonl", '{"prompts": "a"}', r"prompts \(line 3\): prompts='?a'?: is not a field"),
        ("p.jsonl", '{"prompt": 3}', r"prompts \(line 3\): prompt=3: is not text"),
        ("p.jsonl", "a boat", r"prompts \(line 3\): line=a boat: is not JSON; write an object such as"),
        ("p.jsonl", "[" * 100_000, r"prompts \(line 3\): line=\[+: is not JSON; write an object such as"),
        ("p.jsonl", "[1]", r"prompts \(line 3\): line=\[1\]: is not an object"),
        ("p.jsonl", '{"prompt": "a", "overlap": 5}', r"prompts \(line 3\): overlap=5: has no effect without"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, name: str, line: str, message: str) -> None:
    """Line 800 of 946 is not found by hand, and an editor counts the empty ones, too."""
    with pytest.raises(InputError, match=message):
        read_prompts(written(tmp_path / name, '{"prompt": "a"}', "", line), {})


def test_a_file_that_holds_no_prompts(tmp_path: Path) -> None:
    """Absent, empty and binary files are mistakes; a run that makes nothing would look like success."""
    with pytest.raises(InputError, match=r"prompts=.*cannot be read"):
        read_prompts(tmp_path / "p.txt", {})
    with pytest.raises(InputError, match=r"prompts=.*holds no prompt"):
        read_prompts(written(tmp_path / "p.txt", "", " "), {})
    (tmp_path / "p.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_prompts(tmp_path / "p.txt", {})


def test_what_is_there_is_skipped_unless_its_line_changed(tmp_path: Path) -> None:
    """A video of another prompt under this number would be taken for the answer."""
    requests = {line: Request(prompt=text, image=Path("a.png")) for line, text in enumerate(("a", "b", "c"))}
    first = jobs(requests, tmp_path, "gif", WEIGHTS, force=False)[0][0]
    assert first.out == tmp_path / "0000.gif"
    record(first, WEIGHTS)
    first.out.touch()
    record(Job(requests[1], tmp_path / "0001.gif"), WEIGHTS)  # killed before the video was complete
    wanted, done = jobs(requests, tmp_path, "gif", WEIGHTS, force=False)
    assert ([job.out.name for job in wanted], done) == (["0001.gif", "0002.gif"], 1)
    others: list[Any] = [({1: Request(prompt="z")}, WEIGHTS), (requests, {"run": "x", "step": 6})]
    for changed, weights in others:
        with pytest.raises(InputError, match=r"out=.*0000\.gif: was made from another prompt.*--force"):
            jobs(changed, tmp_path, "gif", weights, force=False)
        assert jobs(changed, tmp_path, "gif", weights, force=True)[1] == 0


@pytest.mark.parametrize("kind", ["gif", "frames"])
def test_a_killed_replacement_is_made_again(tmp_path: Path, kind: Kind) -> None:
    """The record of the new video next to the old one would say that it is done."""
    (job,), _ = jobs({1: Request(prompt="new")}, tmp_path, kind, WEIGHTS, force=True)
    if kind == "frames":
        job.out.mkdir()
        (job.out / "theirs.txt").touch()
    old = job.out / "00000.png" if kind == "frames" else job.out
    old.touch()
    record(job, WEIGHTS)  # and killed
    assert not old.exists()
    assert (kind == "frames") == (job.out / "theirs.txt").exists()
    if kind == "gif":
        again, done = jobs({1: Request(prompt="new")}, tmp_path, kind, WEIGHTS, force=False)
        assert ([one.out for one in again], done) == ([job.out], 0)


def test_only_alike_neighbours_are_made_together() -> None:
    """Two sizes or lengths do not fit one batch; clips may give different numbers of frames."""
    kinds = [{}, {}, {}, {"num_frames": 5}, {"num_frames": 5}, {"image": "a.png"}, {"video": "a"}, {"video": "a"}]
    wanted = [Job(Request(prompt="", **kind), Path(str(number))) for number, kind in enumerate(kinds)]
    found = [[int(str(job.out)) for job in batch] for batch in batches(wanted, 2)]
    assert found == [[0, 1], [2], [3, 4], [5], [6], [7]]
