"""The reader's figures: right for true clips, and wrong by a known amount for others."""

from __future__ import annotations

import numpy as np

from videoar.data_pipeline.world.drawing import draw
from videoar.data_pipeline.world.scene import scene
from videoar.pretrain.study.world import MISSING, position_errors, prompt_hits

FPS, FRAMES = 8.0, 9
SCENES = [scene(5, i) for i in range(6)]
CLIPS = [draw(one, FRAMES, (64, 64), FPS) for one in SCENES]


def test_true_clips_are_where_they_should_be() -> None:
    """The true future has no error, a still picture that of the distance that the object has moved since."""
    assert position_errors(CLIPS, SCENES, FPS).max() < 0.03
    still = [clip[:1].repeat(FRAMES, 0) for clip in CLIPS]
    places = np.stack([one.things[0].places(np.arange(FRAMES) / FPS, (1.0, 1.0)) for one in SCENES])
    moved = np.linalg.norm(places - places[:, :1], axis=-1).clip(max=MISSING)
    np.testing.assert_allclose(position_errors(still, SCENES, FPS), moved, atol=0.03)


def test_what_is_not_there_counts_as_far_away() -> None:
    """A grey blur has no object: no error at all would make it the best continuation."""
    grey = [np.full_like(clip, 128) for clip in CLIPS]
    assert (position_errors(grey, SCENES, FPS) == MISSING).all()
    assert (prompt_hits(grey, SCENES) == 0).all()


def test_prompts_are_checked_against_the_first_object() -> None:
    """True clips have all that their captions ask for; the clips of other scenes do not."""
    np.testing.assert_array_equal(prompt_hits(CLIPS, SCENES), 1)
    assert prompt_hits(CLIPS, SCENES[1:] + SCENES[:1]).mean() < 0.7
