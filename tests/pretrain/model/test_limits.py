"""Videos that a model has no embedding for."""

from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.model.limits import check_limits
from videoar.tokenizer.scales import ScaleSchedule

SCHEDULE = ScaleSchedule.named("64x64")


def config(**fields: object) -> ModelConfig:
    return ModelConfig(num_layers=1, width=16, num_heads=2, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["max_scales", "max_frames", "max_side"])
def test_a_video_beyond_a_table_is_refused(field: str) -> None:
    """An index beyond a learned table is an error of the device, without a word of what is too large."""
    with pytest.raises(InputError, match=rf"model\.{field}=2: is below the"):
        check_limits(config(rope="learned", **{field: 2}), SCHEDULE, 3)


def test_rotary_positions_have_no_end() -> None:
    """Only learned tables limit the length and the size of a video."""
    check_limits(config(max_frames=2, max_side=2), SCHEDULE, 100)


def test_context_tokens_need_no_row_of_the_scales() -> None:
    """They have an embedding of their own, so `max_scales` allows the same videos with either history."""
    check_limits(config(max_scales=SCHEDULE.num_scales, history="context"), SCHEDULE, 3)
