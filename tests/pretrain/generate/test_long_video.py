"""Long video through the pipeline: shots, memory, progress, and what is said."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.generate.continuation import encode_history
from videoar.pretrain.generate.request import LongVideo
from videoar.pretrain.generate.sampler import sample_frames
from videoar.tokenizer import ScaleSchedule

pytestmark = pytest.mark.slow

SCHEDULE = ScaleSchedule.named("32x32")


def _clip(num_frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_frames, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(("long", "overlap"), [("sliding", None), ("reencode", 1)])
def test_a_long_stream_keeps_nothing(pipeline: VideoPipeline, long: LongVideo, overlap: int | None) -> None:
    """More than 20 s of frames: at the end, of 41 latent frames and their pixels only the last few are alive."""
    request, chunks = Request(prompt="", num_frames=165, guidance=1.0, long=long, overlap=overlap), []
    stream = pipeline.chunks([request])
    for chunk in stream:
        chunks.append(weakref.ref(chunk))
        if len(chunks) == 41:
            alive = [one for one in gc.get_objects() if issubclass(type(one), torch.Tensor)]
            latents = sum(one.shape == (1, 16, *SCHEDULE.grid) for one in alive)
    assert len(chunks) == 42
    assert 165 / pipeline.shape(None).fps > 20
    assert sum(one() is not None for one in chunks) <= 3
    assert 0 < latents < 8


def _spied(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor | None]:
    """The history of every sequence that is sampled from now on."""
    histories: list[torch.Tensor | None] = []

    def spy(*arguments: Any, **options: Any) -> Any:
        histories.append(options["history"])
        return sample_frames(*arguments, **options)

    monkeypatch.setattr("videoar.pretrain.generate.pipeline.sample_frames", spy)
    return histories


def test_reencoded_shots_continue_what_was_shown(pipeline: VideoPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history of a shot is encode(the decoded frames before it), and each shot is the continuation of these."""
    histories = _spied(monkeypatch)
    how: dict[str, Any] = {"guidance": 1.0, "temperature": 0.0}
    video = pipeline("a boat", num_frames=21, long="reencode", overlap=5, **how).frames
    assert len(video) == 21
    assert len(histories) == 4
    assert histories[0] is None
    for shot, history in enumerate(histories[1:]):
        end = 9 + 4 * shot
        expected = encode_history(pipeline.tokenizer, SCHEDULE, video[end - 5 : end], torch.device("cpu"))
        assert history is not None
        assert torch.equal(history, expected)
    continued = pipeline("a boat", video=video[4:9], num_frames=9, **how).frames
    assert np.array_equal(video[9:13], continued[5:])


def test_a_reencoded_continuation(pipeline: VideoPipeline) -> None:
    """A given clip is the history of the first shot; draws of a later shot are not those of the first."""
    clip = _clip(5)
    long = pipeline("", video=clip, num_frames=17, long="reencode", overlap=1, seed=3).frames
    assert np.array_equal(long[:9], pipeline("", video=clip, num_frames=9, seed=3).frames)
    again = pipeline("", video=long[8:9], num_frames=9, seed=3).frames
    assert not np.array_equal(again[1:], long[9:])
    pair = pipeline.batch([Request(prompt="", num_frames=13, long="reencode", seed=seed) for seed in (0, 1)])
    alone = pipeline("", num_frames=13, long="reencode", seed=1).frames
    assert np.abs(pair[1].frames.astype(int) - alone).mean() < 1


def test_an_untrained_length_is_said_once(pipeline: VideoPipeline, caplog: pytest.LogCaptureFixture) -> None:
    """In the line that a person sees, and not again for every video of a batch."""
    fresh = VideoPipeline(pipeline.model, pipeline.tokenizer, pipeline.config)
    for seed in range(2):
        fresh("", num_frames=13, seed=seed)
    (line,) = caplog.messages
    assert "long=reencode makes shots of 9 frames" in line
    fresh("", num_frames=13, long="reencode")
    assert len(caplog.messages) == 1


def test_progress_is_told_by_frame_and_scale(pipeline: VideoPipeline) -> None:
    """Every scale of every generated frame once, in order, also over shots; given frames take no scales."""
    done: list[tuple[int, int]] = []
    request = Request(prompt="", num_frames=13, long="reencode", image=_clip(1)[0])
    list(pipeline.stream(request, lambda frame, scale: done.append((frame, scale))))
    assert done == [(frame, scale) for frame in (1, 2, 3) for scale in range(SCHEDULE.num_scales)]
