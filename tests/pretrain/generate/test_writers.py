"""Kinds of output, read back by other readers where there are any."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pytest

from tests.decoded import decoded
from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.writers import Kind, check_output, kind_of, writer

FRAMES = np.stack([np.full((20, 30, 3), (level, 90, 200 - level), np.uint8) for level in range(0, 200, 20)])


def write(path: Path, kind: Kind, frames: Iterable[np.ndarray] = FRAMES) -> Path:
    frames = list(frames)
    with writer(path, kind, 7.5, len(frames)) as add:
        for frame in frames:
            add(frame)
    return path


@pytest.mark.parametrize(("name", "kind", "most"), [("x.mp4", "mp4", 8), ("x.gif", "gif", 1)])
def test_a_film_has_all_frames_in_order(tmp_path: Path, name: str, kind: Kind, most: int) -> None:
    """A lost flush is a missing end, a shared palette is a wrong colour; both at the rate of training."""
    path = write(tmp_path / "new" / name, kind)
    found = decoded(path)
    assert np.abs(found.astype(int) - FRAMES).max() <= most
    with av.open(str(path)) as film:
        assert abs(float(film.streams.video[0].average_rate) - 7.5) < 0.3
    assert [one.name for one in path.parent.iterdir()] == [name]


def test_a_gif_loops(tmp_path: Path) -> None:
    """One that stops after two seconds is seen as a still picture."""
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in write(tmp_path / "x.gif", "gif").read_bytes()


def test_a_sheet_spans_the_video(tmp_path: Path) -> None:
    """Eight frames from the first to the last; an image is itself."""
    sheet = decoded(write(tmp_path / "x.png", "png"))[0]
    assert sheet.shape == (24, 8 * 34, 3)
    assert np.array_equal(sheet[0, 0], FRAMES[0, 0, 0])
    assert np.array_equal(sheet[0, 7 * 34], FRAMES[-1, 0, 0])
    assert np.array_equal(decoded(write(tmp_path / "y.png", "png", FRAMES[:1])), FRAMES[:1])


def test_a_folder_of_pictures_is_that_of_one_video(tmp_path: Path) -> None:
    """The end of a longer video must not follow a shorter one that replaces it."""
    write(tmp_path / "x", "frames")
    write(tmp_path / "x", "frames", FRAMES[3:7])
    pictures = sorted((tmp_path / "x").iterdir())
    assert [path.name for path in pictures] == [f"{number:05d}.png" for number in range(4)]
    assert np.array_equal(np.concatenate([decoded(path) for path in pictures]), FRAMES[3:7])


def _break_off(path: Path, kind: Kind) -> None:
    with writer(path, kind, 8.0, 9) as add:
        add(FRAMES[0])
        raise KeyError


@pytest.mark.parametrize("kind", ["mp4", "gif", "frames"])
def test_a_failure_leaves_nothing(tmp_path: Path, kind: Kind) -> None:
    """Half a video looks like a whole one until it is played."""
    with pytest.raises(KeyError):
        _break_off(tmp_path / "x", kind)
    assert list(tmp_path.iterdir()) == []


def test_the_name_says_the_kind(tmp_path: Path) -> None:
    """And a name that contradicts the option is refused before a minute is spent."""
    assert kind_of(Path("a.GIF"), None) == "gif"
    assert kind_of(Path("a"), "frames") == "frames"
    with pytest.raises(InputError, match="out=a: is not the name of a video file; let it end in"):
        kind_of(Path("a"), None)
    with pytest.raises(InputError, match=r"out=a\.mp4: is not the name of output of format gif; let it end in \.gif"):
        kind_of(Path("a.mp4"), "gif")
    with pytest.raises(InputError, match="name a folder"):
        kind_of(Path("a.mp4"), "frames")


def test_a_folder_of_others_is_not_filled(tmp_path: Path) -> None:
    """--force replaces pictures of a video, and nothing else."""
    write(tmp_path / "x", "frames")
    with pytest.raises(InputError, match="exists; name another folder, or add --force"):
        check_output(tmp_path / "x", "frames", force=False)
    check_output(tmp_path / "x", "frames", force=True)
    (tmp_path / "x" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"holds thesis\.tex; name another folder$"):
        check_output(tmp_path / "x", "frames", force=True)
