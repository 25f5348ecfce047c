"""Which frames of which files a protocol compares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.decoding.client import DecodeLimits, VideoDecoder
from videoar.data_pipeline.encoding.pictures import save_png
from videoar.pretrain.evaluate.fvd.protocol import ClipChoice, Protocol
from videoar.pretrain.evaluate.video_folder import choose_clips, read_clips
from videoar.pretrain.generate.video import save_mp4

FIVE = Protocol(frames=5, height=32, width=32, split="drawn")
NTSC = 30_000 / 1_001


@pytest.fixture(scope="module")
def decoder() -> Iterator[VideoDecoder]:
    with VideoDecoder(DecodeLimits()) as decoder:
        yield decoder


def _brightening(count: int, height: int = 32, width: int = 32) -> np.ndarray:
    """Frame n has the grey value 40 + 10 n."""
    values = 40 + 10 * np.arange(count, dtype=np.uint8)
    return np.broadcast_to(values[:, None, None, None], (count, height, width, 3))


def _ignore(done: int, total: int) -> None:
    """A person who does not look."""


def _fail(name: str, reason: str) -> None:
    pytest.fail(f"{name} is left out: {reason}")


def _numbers(folder: Path, protocol: Protocol, decoder: VideoDecoder) -> list[list[int]]:
    chosen = choose_clips(folder, protocol, decoder, on_done=_ignore, on_left_out=_fail)
    read = list(read_clips(chosen, protocol, decoder, _fail))
    return [[round((float(frame.mean()) - 40) / 10) for frame in frames] for frames in read]


@pytest.mark.parametrize("fps", [8.0, 25.0, NTSC])
@pytest.mark.parametrize(("clip", "first"), [("centre", 5), ("first", 0)])
def test_consecutive_frames_are_taken_at_any_rate(
    tmp_path: Path, decoder: VideoDecoder, fps: float, clip: ClipChoice, first: int
) -> None:
    """Published protocols take every frame: one that is skipped or shown twice is other motion."""
    save_mp4(_brightening(14), tmp_path / "film.mp4", fps)
    assert _numbers(tmp_path, replace(FIVE, clip=clip), decoder) == [list(range(first, first + 5))]


def test_a_rate_and_a_random_choice(tmp_path: Path, decoder: VideoDecoder) -> None:
    """At half of the rate every second frame is taken; a choice depends on the seed, and not on who draws it."""
    save_mp4(_brightening(14), tmp_path / "film.mp4", 8.0)
    assert _numbers(tmp_path, replace(FIVE, fps=4.0, clip="first"), decoder) == [[0, 2, 4, 6, 8]]
    drawn = [_numbers(tmp_path, replace(FIVE, clip="random", seed=seed), decoder)[0] for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len({tuple(numbers) for numbers in drawn}) > 1
    assert all(numbers == list(range(numbers[0], numbers[0] + 5)) for numbers in drawn)


def test_frames_are_cropped_or_stretched(tmp_path: Path, decoder: VideoDecoder) -> None:
    """A wide frame is dark on its left and right: a crop of its middle is bright, and a stretched frame is not."""
    wide = np.full((5, 32, 96, 3), 200, np.uint8)
    wide[:, :, :32] = wide[:, :, 64:] = 20
    save_mp4(wide, tmp_path / "film.mp4", 8.0)
    chosen = choose_clips(tmp_path, FIVE, decoder, on_done=_ignore, on_left_out=_fail)
    (crop,), (stretched,) = (
        list(read_clips(chosen, protocol, decoder, _fail)) for protocol in (FIVE, replace(FIVE, fit="stretch"))
    )
    assert crop.shape == stretched.shape == (5, 32, 32, 3)
    assert float(crop[:, :, 4:28].mean()) > 190
    assert float(stretched[:, :, :8].mean()) < 30
    assert float(stretched[:, :, 13:19].mean()) > 190


def test_what_gives_no_clip_is_counted_with_its_reason(tmp_path: Path, decoder: VideoDecoder) -> None:
    """A folder with a hundred broken videos would otherwise be measured as if it were whole."""
    for number, frames in enumerate((9, 5, 4)):
        save_mp4(_brightening(frames), tmp_path / f"{number}.mp4", 8.0)
    (tmp_path / "broken.mp4").write_bytes(bytes(1000))
    (tmp_path / "0.json").write_text("{}")  # as `videoar generate --prompts` writes it: no video, and no fault
    save_png(_brightening(1)[0].copy(), tmp_path / "picture.png")
    steps: list[tuple[int, int]] = []
    left_out: dict[str, str] = {}
    found = choose_clips(
        tmp_path, FIVE, decoder, on_done=lambda *step: steps.append(step), on_left_out=left_out.__setitem__
    )
    assert sorted(Path(clip.path).name for clip in found) == ["0.mp4", "1.mp4"]
    assert left_out.keys() == {"2.mp4", "broken.mp4", "picture.png"}
    assert left_out["2.mp4"] == left_out["picture.png"] == "has fewer than 5 frames"
    assert steps[-1] == (5, 5)
    with pytest.raises(InputError, match="videos=2: is fewer than the 3 of protocol"):
        choose_clips(tmp_path, replace(FIVE, count=3), decoder, on_done=_ignore, on_left_out=lambda name, reason: None)
