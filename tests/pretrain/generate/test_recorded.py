"""Recorded passes give the videos of passes that are not, from memory that stays where it is.

A CPU has no CUDA graphs. `Tape` is as strict as one: it repeats the operations of the first run on the same memory,
with the numbers that the host knew then, and runs none of the code again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import ModelConfig, TextConfig
from videoar.pretrain.generate import Request, VideoPipeline, recorded
from videoar.pretrain.generate.recorded import CudaGraphs, RecordedPasses, Recordings, Work, rerun
from videoar.pretrain.generate.sampler import LatentFrame, Sampling, sample_frames
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

from .loud import loud_model

pytestmark = pytest.mark.slow

SCHEDULE = ScaleSchedule("32x48", ((1, 1), (1, 2), (2, 3)))
WIDER = ScaleSchedule("48x48", ((1, 1), (2, 2), (3, 3)))
CONFIG = ModelConfig(num_layers=2, width=24, num_heads=2, latent_dim=8, max_frames=16, max_side=4, max_scales=4)
RAMP = Sampling(guidance=Guidance(1.5, 4.0, 3.0, 2.0))
TEXTS = (np.array([5, 9, 200, 17]), np.array([7]))
OTHERS = (np.array([80, 80, 3, 1]), np.array([44]))


class Tape(TorchDispatchMode):
    """Records the operations of some work, and repeats them."""

    made = 0
    """Tapes so far, one for each pass."""

    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, out))
        return out

    @classmethod
    def record(cls, work: Work) -> Work:
        tape = cls()
        with tape:
            work()
        cls.made += 1
        return tape.repeat

    def repeat(self) -> None:
        with torch._C._AutoDispatchBelowAutograd():  # what was recorded is below it
            for func, args, kwargs, out in self._done:
                self._again(func, args, kwargs, out)

    @staticmethod
    def _again(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        memory = {storage(given) for given in tree_leaves((args, kwargs)) if isinstance(given, Tensor)}
        for before, now in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
            if isinstance(before, Tensor) and storage(before) not in memory:  # a view needs no copy
                before.copy_(now)


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def a_model(history: HistoryKind = "scales") -> VideoAR:
    return loud_model(replace(CONFIG, history=history, text=TextConfig(max_tokens=6)))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A setting of sampling."""

    history: HistoryKind = "scales"
    sampling: Sampling = RAMP
    num_frames: int = 5
    window: int = 8
    given: int = 0


CASES = (
    Case(),
    Case(sampling=Sampling(guidance=Guidance.constant(1.0))),
    Case(sampling=replace(RAMP, temperature=0.0)),
    Case(sampling=replace(RAMP, temperature=0.7, top_p=0.9)),
    Case(num_frames=1),
    Case(num_frames=7, window=2),
    Case(num_frames=4, given=1),
    Case(num_frames=7, window=2, given=3),
    Case(history="context"),
    Case(history="context", num_frames=9, window=2),
    Case(history="context", num_frames=9, window=2, given=2),
    Case(history="context", num_frames=4, window=1),
)


def video(model: VideoAR, case: Case, number: int, **more: Any) -> list[LatentFrame]:
    """One of the videos of a case: each has other texts, seeds, given frames and place in a longer video."""
    text = (TEXTS, OTHERS)[number % 2]
    given = torch.Generator().manual_seed(number)
    bits = torch.rand(2, case.given, SCHEDULE.tokens_per_frame, CONFIG.latent_dim, generator=given) < 0.5
    how: dict[str, Any] = {"num_frames": case.num_frames, "window": case.window, "seeds": (number, number + 7)}
    how |= {"history": bits if case.given else None, "start": 3 * number} | more
    return list(sample_frames(model, how.pop("schedule", SCHEDULE), text, case.sampling, **how))


def assert_equal(some: list[LatentFrame], others: list[LatentFrame]) -> None:
    for one, other in zip(some, others, strict=True):
        assert torch.equal(one.bits, other.bits)
        assert torch.equal(one.latent, other.latent)


def buffers(passes: RecordedPasses) -> list[int]:
    """Where the memory of the passes is."""
    decoder = passes._decoder
    tables = (decoder._positions, decoder._places, decoder._is_start, decoder.cache.keys, decoder.cache.values)
    return [storage(held) for held in (*tables, passes._state.total, passes._bits, passes._gamma, passes._uniform)]


@pytest.mark.parametrize("case", CASES, ids=repr)
@pytest.mark.parametrize("record", [rerun, Tape.record], ids=["rerun", "tape"])
def test_videos_are_those_of_passes_that_are_not_recorded(case: Case, record: Callable[[Work], Work]) -> None:
    """To the bit, one after another: what a video leaves in the memory must not reach the next."""
    model, recordings = a_model(case.history), Recordings(lambda: record)
    found = [video(model, case, number, open_passes=recordings.open) for number in range(3)]
    (passes,) = recordings._kept.values()
    for number, frames in enumerate(found):
        assert_equal(frames, video(model, case, number))
    assert len({frames[-1].bits.sum() for frames in found}) > 1 or case.num_frames == 1
    places = buffers(passes)
    video(model, case, 3, open_passes=recordings.open)
    assert buffers(passes) == places


def test_a_tape_has_the_numbers_of_its_first_run() -> None:
    """The stand-in must be able to fail: a number that only the host knows is frozen in it, as in a graph."""
    strength, total = [2.0], torch.ones(2)

    def work() -> None:
        total.copy_(total * strength[0])

    repeat = Tape.record(work)
    strength[0] = 5.0
    repeat()
    assert total.tolist() == [4.0, 4.0]


def test_a_shape_is_recorded_once_and_each_shape_has_its_own_memory() -> None:
    """Capturing is slow; a graph that is repeated in the memory of another shape writes past it."""
    model, recordings, case = a_model(), Recordings(lambda: Tape.record), Case(num_frames=4)
    Tape.made = 0
    first = video(model, case, 0, open_passes=recordings.open)
    assert Tape.made == 4 * 3, "a pass for each frame and scale"
    video(model, case, 1, open_passes=recordings.open)
    assert Tape.made == 4 * 3
    wide = video(model, case, 0, open_passes=recordings.open, schedule=WIDER)
    assert Tape.made == 2 * 4 * 3
    one, other = recordings._kept.values()
    assert not set(buffers(one)) & set(buffers(other))
    assert_equal(video(model, case, 0, open_passes=recordings.open), first)
    assert_equal(wide, video(model, case, 0, schedule=WIDER))
    assert Tape.made == 2 * 4 * 3


def test_a_long_video_needs_no_more_passes_than_the_window_has() -> None:
    """Frames are recorded until the window is full: a minute of video would be thousands of graphs."""
    model, recordings = a_model(), Recordings(lambda: Tape.record)
    Tape.made = 0
    long = Case(num_frames=12, window=2)
    assert_equal(video(model, long, 0, open_passes=recordings.open), video(model, long, 0))
    assert Tape.made == 3 * 3
    video(model, replace(long, num_frames=6), 0, open_passes=recordings.open)
    assert Tape.made == 3 * 3, "another length with the same window is the same shape"


def test_a_video_that_begins_while_another_is_made_has_memory_of_its_own() -> None:
    """A page that shows two videos as they grow takes frames of both in turn."""
    model, recordings, case = a_model(), Recordings(lambda: rerun), Case(num_frames=3)
    both = [
        sample_frames(model, SCHEDULE, text, RAMP, num_frames=3, window=8, seeds=(1, 2), open_passes=recordings.open)
        for text in (TEXTS, OTHERS)
    ]
    found = [list(frames) for frames in zip(*zip(*both, strict=True), strict=True)]
    for text, frames in zip((TEXTS, OTHERS), found, strict=True):
        assert_equal(frames, list(sample_frames(model, SCHEDULE, text, RAMP, num_frames=3, window=8, seeds=(1, 2))))
    left = sample_frames(
        model, SCHEDULE, TEXTS, RAMP, num_frames=3, window=8, seeds=(1, 2), open_passes=recordings.open
    )
    next(left)
    left.close()
    assert not recordings._at_work, "a video that is given up returns its memory"
    assert_equal(video(model, case, 1, open_passes=recordings.open), video(model, case, 1))


def test_few_shapes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a cache, of gigabytes in a large model."""
    monkeypatch.setattr(recorded, "KEPT", 1)
    model, recordings = a_model(), Recordings(lambda: rerun)
    for schedule in (SCHEDULE, WIDER):
        video(model, Case(), 0, open_passes=recordings.open, schedule=schedule)
    assert [shape.schedule for shape in recordings._kept] == [WIDER]


def test_a_pipeline_with_recordings_makes_the_same_videos(folder: Path) -> None:
    """Prompts of unlike lengths, a picture, a clip, shots of a long video: nothing of one is left in the next."""
    plain = VideoPipeline.from_pretrained(folder, device="cpu")
    records = VideoPipeline(plain.model, plain.tokenizer, plain.config, recordings=Recordings(lambda: Tape.record))
    picture = np.full((32, 32, 3), 200, np.uint8)
    batches = (
        [Request(prompt="a red square", seed=1), Request(prompt="a", seed=2)],
        [Request(prompt="an old hat..", seed=3), Request(prompt="b", seed=4)],
        [Request(prompt="a red square", seed=5, image=picture, guidance=3.0)],
        [Request(prompt="a red square", seed=6, video=np.stack([picture] * 5), num_frames=9)],
        [Request(prompt="a red square", seed=7, num_frames=13, long="reencode", overlap=5)],
    )
    for requests in batches:
        for one, other in zip(records.batch(requests), plain.batch(requests), strict=True):
            assert np.array_equal(one.frames, other.frames)


def test_a_cpu_has_no_graphs(folder: Path) -> None:
    """Whoever asks for speed must not get the same speed in silence."""
    with pytest.raises(
        InputError, match="graphs=True: has no effect on the device cpu: it records CUDA graphs; leave it out"
    ):
        VideoPipeline.from_pretrained(folder, device="cpu", graphs=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_cuda_graphs_give_the_same_videos(case: Case) -> None:
    """Three videos of each case from the graphs of the first, against passes that the host enqueues."""
    device = torch.device("cuda")
    model, recordings = a_model(case.history).to(device), Recordings.on(device)
    found = [video(model, case, number, open_passes=recordings.open) for number in range(3)]
    (passes,) = recordings._kept.values()
    assert all(getattr(work, "__self__", None).__class__ is torch.cuda.CUDAGraph for work in passes._repeats.values())
    for number, frames in enumerate(found):
        assert_equal(frames, video(model, case, number))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.inference_mode()
def test_a_replayed_video_allocates_little_and_never_waits() -> None:
    """Only what is given away is allocated: the bits and the latent of each frame."""
    device, case = torch.device("cuda"), Case(num_frames=4)
    model, recordings = a_model().to(device), Recordings(lambda: CudaGraphs(device))
    video(model, case, 0, open_passes=recordings.open)
    (passes,) = recordings._kept.values()
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    torch.cuda.set_sync_debug_mode("error")
    try:
        for frame in range(case.num_frames):
            passes.sample(frame, None)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.memory_stats()["allocation.all.allocated"] - before <= 8 * case.num_frames
