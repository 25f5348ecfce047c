"""PSNR of a continuation, compared with repeating the last given frame."""

import numpy as np
import pytest

from videoar.pretrain.config import ModelConfig, TextConfig
from videoar.pretrain.evaluate.continuation import evaluate_continuation, psnr, rebuild, slopes
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.pretrained import ClipShape, ExportConfig
from videoar.tokenizer import ScaleSchedule, VideoTokenizer

SCHEDULE = ScaleSchedule.named("32x32")


@pytest.fixture(scope="module")
def pipeline() -> VideoPipeline:
    text = TextConfig(max_tokens=8)
    config = ModelConfig(num_layers=1, width=16, num_heads=2, latent_dim=16, text=text)
    model, tokenizer = VideoAR(config), VideoTokenizer.preset("tiny", 16)
    init_weights(model, 0)
    shape = ClipShape(schedule=SCHEDULE.name, schedule_hash=SCHEDULE.hash, num_frames=9, fps=8.0)
    return VideoPipeline(model, tokenizer, ExportConfig(model=config, shapes=(shape,), tokenizer_hash=tokenizer.hash))


def _clips(count: int, num_frames: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 256, (count, num_frames, 32, 32, 3), dtype=np.uint8))


def test_psnr_in_decibels() -> None:
    """An error of one level is 48.1 dB; equal frames stop at the rounding error instead of infinity."""
    frames = np.full((2, 4, 4, 3), 100, np.uint8)
    np.testing.assert_allclose(psnr(frames, frames + 1), 20 * np.log10(255))
    np.testing.assert_allclose(psnr(frames, frames), 58.92, atol=0.01)


def test_the_report_judges_the_future_alone(pipeline: VideoPipeline) -> None:
    """Given frames must not count, and each guess meets the frame of its own time."""
    clips = _clips(3, 13)
    requests = [Request(prompt="a", seed=seed) for seed in range(3)]
    report = evaluate_continuation(pipeline, clips, 5, requests, batch=2)
    assert report.generated.shape == report.repeated.shape == report.rebuilt.shape == (3, 8)
    np.testing.assert_allclose(report.repeated[1, 3], psnr(clips[1][4:5], clips[1][8:9])[0])
    through = rebuild(pipeline, clips[2])
    np.testing.assert_allclose(report.rebuilt[2], psnr(through, clips[2])[5:])
    np.testing.assert_allclose(report.repeated_rebuilt[2, 7], psnr(through[4:5], clips[2][12:13])[0])
    told = report.to_dict()
    assert told["num_clips"] == 3
    assert len(told["generated"]["by_frame"]["low"]) == 8
    assert told["repeated"]["overall"]["value"] == pytest.approx(report.repeated.mean())


def test_a_still_clip_is_repeated_perfectly(pipeline: VideoPipeline) -> None:
    """Where nothing moves, no generator beats repetition: the report must say so."""
    still = [clip[:1].repeat(9, axis=0) for clip in _clips(2, 1)]
    report = evaluate_continuation(pipeline, still, 5, [Request(prompt="")] * 2)
    assert report.repeated.min() > 58.9
    assert report.to_dict()["gain_over_repeated"]["overall"]["high"] < 0


def test_slopes_are_least_squares() -> None:
    """As numpy has them."""
    values = np.random.default_rng(0).normal(20, 3, (4, 12))
    np.testing.assert_allclose(slopes(values), np.polyfit(np.arange(12), values.T, 1)[0])
