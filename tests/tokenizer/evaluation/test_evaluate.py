"""An evaluation is the mean over clips of what one pass through the bits gives."""

from __future__ import annotations

import dataclasses
import weakref

import pytest
import torch

from tests.tokenizer.videos import video
from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import ScaleSchedule, VideoTokenizer
from videoar.tokenizer.evaluation.evaluate import Evaluator, after_each_scale, evaluate, reconstruct, through_bits
from videoar.tokenizer.evaluation.quality import motion_psnr, psnr, ssim


def square(seed: int = 0, b: int = 2, frames: int = 5) -> torch.Tensor:
    return video(frames, 32, 32, b, seed)


def test_evaluation_of_clips(tiny: VideoTokenizer) -> None:
    """All figures come from one pass through the bits, as the generator will see them."""
    clip, schedule = square(), ScaleSchedule.named("32x32")
    found = evaluate(tiny, [clip])
    decoded = torch.cat(list(reconstruct(tiny, clip.split(2, dim=2), schedule)), dim=2)
    assert found.psnr_db == pytest.approx(psnr(clip, decoded).mean().item(), abs=1e-3)
    assert found.ssim == pytest.approx(ssim(clip, decoded).mean().item(), abs=1e-4)
    assert found.psnr_of_motion_db == pytest.approx(motion_psnr(clip, decoded).mean().item(), abs=1e-3)
    assert found.num_clips == 2
    assert len(found.bit_entropy) == 2
    assert (len(found.psnr_by_frame_db), len(found.ssim_by_frame)) == (5, 5)
    assert found.psnr_by_scale_db is not None
    assert len(found.psnr_by_scale_db) == 2
    assert found.psnr_by_scale_db[-1] == pytest.approx(found.psnr_db, abs=1e-3)
    assert sum(found.entropy_histogram) == 16
    with pytest.raises(InputError, match="is too few to evaluate"):
        evaluate(tiny, [])


def test_a_clip_counts_once_in_any_batch(tiny: VideoTokenizer) -> None:
    """Batches of unequal size must not weight their clips; and further distances are means over clips, too."""

    def distance(video: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        return video.flatten(1).abs().mean(dim=1)

    clips = square(b=3)
    whole, parts = (Evaluator(tiny, lpips=distance) for _ in range(2))
    whole.add(clips)
    for part in (clips[:1], clips[1:]):
        parts.add(part)
    for name, value in dataclasses.asdict(whole.result).items():
        assert dataclasses.asdict(parts.result)[name] == pytest.approx(value, abs=1e-4), name
    assert whole.result.lpips == pytest.approx(distance(clips, clips).mean().item())


def test_the_curve_follows_the_scales(tiny: VideoTokenizer) -> None:
    """After s scales, the bits of the later ones have no part in the pixels."""
    made = through_bits(tiny, square())
    first, last = after_each_scale(tiny, made)
    torch.testing.assert_close(last, made.decoded, atol=1e-5, rtol=0)
    other = made.bits.clone()
    other[:, :, 1:] ^= True
    again, _ = after_each_scale(tiny, dataclasses.replace(made, bits=other))
    assert torch.equal(first, again)
    assert not torch.equal(first, last)


def test_images_have_no_motion_and_the_curve_can_be_left_out(tiny: VideoTokenizer) -> None:
    """NaN would be no JSON; and decoding after every scale is most of the work."""
    found = evaluate(tiny, [square(frames=1)], by_scale=False)
    assert (found.psnr_of_motion_db, found.psnr_by_scale_db, found.lpips) == (None, None, None)


def test_no_clip_is_held_after_it_was_measured(tiny: VideoTokenizer) -> None:
    """A folder of a hundred thousand clips must not fill the memory."""
    evaluator, clip = Evaluator(tiny), square()
    held = weakref.ref(clip)
    evaluator.add(clip)
    del clip
    assert held() is None
    assert evaluator.result.num_clips == 2
