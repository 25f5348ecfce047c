"""Drawn clips never change, and show what their captions say."""

from __future__ import annotations

import numpy as np

from videoar.data_pipeline.sources.shapes import BACKGROUNDS, DIRECTIONS, SHAPES, draw_clip, drawing
from videoar.tokenizer.config import ClipBucket

BUCKET = ClipBucket(schedule="64x64", num_frames=9)


def test_a_clip_is_a_function_of_seed_and_index() -> None:
    """The pinned losses of the debug recipe depend on these pixels."""
    clip = draw_clip(3, 7, BUCKET)
    assert clip.shape == (9, 64, 64, 3)
    assert clip.dtype == np.uint8
    assert np.array_equal(clip, draw_clip(3, 7, BUCKET))
    assert not np.array_equal(clip, draw_clip(3, 8, BUCKET))
    assert not np.array_equal(clip, draw_clip(4, 7, BUCKET))
    assert drawing(0, 0).caption == "a green diamond moving left"


def test_everything_occurs_and_labels_stay_in_range() -> None:
    """A value that is never drawn would be a class without samples."""
    seen = [drawing(0, index) for index in range(400)]
    assert {what.shape for what in seen} == set(SHAPES)
    assert {what.direction for what in seen} == set(DIRECTIONS)
    assert {what.background for what in seen} == set(BACKGROUNDS)
    assert {what.label for what in seen} == set(range(len(SHAPES) * len(DIRECTIONS)))


def test_the_shape_moves_where_the_caption_says() -> None:
    """A caption that contradicts the motion would teach the model noise."""
    bucket = ClipBucket(schedule="64x64", num_frames=5, fps=16.0)
    for index in range(40):
        what = drawing(0, index)
        clip = draw_clip(0, index, bucket).astype(np.int64)
        step = what.speed * 64 / bucket.fps
        shifts = [tuple(round(step * part) for part in direction) for direction in DIRECTIONS.values()]
        moving = (clip != np.median(clip, axis=0)).any(axis=(0, 3))
        errors = [np.abs(np.roll(clip[0], shift, axis=(0, 1)) - clip[1])[moving].mean() for shift in shifts]
        assert list(DIRECTIONS)[int(np.argmin(errors))] == what.direction, what


def test_frames_do_not_depend_on_the_clips_length() -> None:
    """An image must equal the first frame of the clip with the same index."""
    image = draw_clip(1, 2, ClipBucket(schedule="64x64", num_frames=1))
    assert np.array_equal(image[0], draw_clip(1, 2, BUCKET)[0])
