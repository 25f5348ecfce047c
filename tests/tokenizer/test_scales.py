"""The table of scale schedules."""

from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.scales import ScaleSchedule, latent_frames, pixel_frames

PUBLISHED = {
    "256x256": (7, 521),
    "512x512": (10, 2521),
    "768x768": (12, 6425),
    "1024x1024": (13, 10521),
    "320x240": (7, 665),
    "576x432": (10, 2657),
    "960x720": (12, 7085),
    "1152x864": (13, 10973),
    "192x336": (7, 472),
    "384x672": (10, 2628),
    "640x1120": (12, 7220),
    "768x1344": (13, 11252),
    "128x128": (6, 130),
}


def test_tokens_of_a_video() -> None:
    """t n tokens, and (t - 1) h w of context: none follow the last frame, so an image has none."""
    schedule = ScaleSchedule.named("128x128")
    for frames in (1, 2, 5):
        assert schedule.video_tokens(frames) == frames * 130
        assert schedule.video_tokens(frames, "context") == frames * 130 + (frames - 1) * 8 * 8


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items())
def test_token_counts_are_the_published_ones(name: str, expected: tuple[int, int]) -> None:
    """A wrong row of the table trains a model that no published weights fit."""
    schedule = ScaleSchedule.named(name)
    assert (schedule.num_scales, schedule.tokens_per_frame) == expected
    assert schedule.offsets[-1] == expected[1]
    assert f"{schedule.pixels[0]}x{schedule.pixels[1]}" == name


def test_every_schedule_is_coarse_to_fine_and_known_by_its_hash() -> None:
    """Two schedules with one hash would let a model read another model's shards."""
    schedules = [ScaleSchedule.named(name) for name in ScaleSchedule.names()]
    assert len({schedule.hash for schedule in schedules}) == len(schedules) > 60
    assert all(schedule.grids[0] == (1, 1) for schedule in schedules)


def test_unknown_name_is_answered_with_close_ones() -> None:
    """The user's typo must be answered in one line that names what exists."""
    with pytest.raises(InputError, match="256x256"):
        ScaleSchedule.named("256x255")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("100x100", ["96x96", "128x128"]),
        ("720x1280", ["768x1344"]),
        ("129", ["128x128"]),
        ("0128 x 128", ["128x128"]),
        ("0x0", ["32x32"]),
    ],
)
def test_an_unknown_size_is_answered_with_the_nearest(name: str, nearest: list[str]) -> None:
    """400x160 is near 100x100 only in spelling."""
    with pytest.raises(InputError) as caught:
        ScaleSchedule.named(name)
    assert caught.value.remedy.removeprefix("use one of: ").split(", ")[: len(nearest)] == nearest


def test_clip_lengths() -> None:
    """t = 1 + (f - 1) / 4 both ways; a length that cannot be halved twice is refused with the next ones."""
    assert [latent_frames(f) for f in (1, 5, 17, 65)] == [1, 2, 5, 17]
    assert all(latent_frames(pixel_frames(t)) == t for t in range(1, 20))
    with pytest.raises(InputError, match="use 13 or 17"):
        latent_frames(16)
