"""Guidance: the values of the two published ramps, and the algebra of two branches."""

from dataclasses import replace

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.configs import debug
from videoar.pretrain.generate.sampler import guided
from videoar.pretrain.guidance import Guidance, parse_guidance


@pytest.mark.parametrize("frame", range(5))
@pytest.mark.parametrize("scale", range(6))
def test_the_published_ramps(frame: int, scale: int) -> None:
    """A ramp written from its printed formula would differ if a corner were misplaced."""
    first = 1 + 4 * frame / 4
    ucf101 = parse_guidance("ucf101").gamma(frame, scale, num_frames=5, num_scales=6)
    t2v = parse_guidance("t2v").gamma(frame, scale, num_frames=5, num_scales=6)
    assert ucf101 == pytest.approx(first + (10 - first) * scale / 5)
    assert t2v == pytest.approx(5 - 2 * (frame / 4 + scale / 5) / 2)


def test_one_frame_and_one_scale_have_no_ramp() -> None:
    """n - 1 and S - 1 are zero for an image of one scale: a division there would be an error."""
    assert parse_guidance("t2v").gamma(0, 0, num_frames=1, num_scales=1) == 5
    assert parse_guidance("ucf101").gamma(0, 5, num_frames=1, num_scales=6) == 10


def test_spellings_of_a_guidance() -> None:
    """A name, a number and four corners are what the command line takes; anything else is refused with the remedy."""
    assert parse_guidance("3") == parse_guidance(3.0) == Guidance.constant(3.0)
    assert parse_guidance("5,4,4,3") == parse_guidance("t2v")
    assert parse_guidance(1.0).is_off
    assert not parse_guidance("t2v").is_off
    for wrong in ("strong", "1,2", "1,2,3,4,5"):
        with pytest.raises(InputError, match="use ucf101, t2v"):
            parse_guidance(wrong)


def test_the_branches_combine_as_uncond_plus_gamma_times_the_difference() -> None:
    """Swapped branches would push away from the prompt."""
    branches = torch.tensor([3.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 8)
    assert guided(branches, 1.0).unique().tolist() == [3.0]
    assert guided(branches, 0.0).unique().tolist() == [1.0]
    assert guided(branches, 4.0).unique().tolist() == [9.0]
    assert torch.equal(guided(branches[:1], 7.0), branches[0])


def test_a_recipe_takes_any_ramp_and_no_other_word() -> None:
    """A misspelt preset would be found when the run of weeks is exported."""
    assert replace(debug.recipe(), guidance="5,4,4,2").exported_guidance == "5,4,4,2"
    with pytest.raises(InputError, match="guidance=strong: is neither a preset nor a number"):
        replace(debug.recipe(), guidance="strong")
