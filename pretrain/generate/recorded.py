"""Passes that are recorded once for a shape of video, and repeated for every later one: CUDA graphs.

A pass over a scale has few tokens and a dozen kernels a layer: a GPU waits for their launches. A graph launches all
kernels of a pass at once. It repeats them on the same memory with the same numbers, so what they read and write stays
in one place, and what differs between videos and frames is on the device: the texts' keys, sums, positions, the
strength of guidance, and the random numbers. Videos are those of passes that are not recorded.

A pass is recorded before the first video of its shape begins, on memory that holds nothing of it yet.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.cache import alike
from videoar.pretrain.generate.decoder import sequence_lengths
from videoar.pretrain.generate.sampler import (
    Accumulation,
    BitNumbers,
    LatentFrame,
    OnScale,
    Passes,
    VideoPlan,
    enqueued,
)
from videoar.pretrain.model import VideoAR
from videoar.tokenizer.scales import ScaleSchedule

KEPT = 2
"""Shapes that stay recorded: each has a cache of its own."""

Work = Callable[[], None]
Record = Callable[[Work], Work]
"""Runs some work and returns a function that repeats it in the same memory."""


def rerun(work: Work) -> Work:
    """Repeats work by running it again: what recording is, without its speed."""
    work()
    return work


class CudaGraphs:
    """Records work as CUDA graphs that share one pool of memory. They run one after another."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._pool = device, torch.cuda.graph_pool_handle()
        self._side = torch.cuda.Stream(device)

    def __call__(self, work: Work) -> Work:
        """Run the work once, because libraries allocate at first use, and capture it."""
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            self._side.wait_stream(current)
            with torch.cuda.stream(self._side):
                work()
            current.wait_stream(self._side)
            graph = torch.cuda.CUDAGraph()
            # The tokenizer may still decode frames of another video, in its thread.
            with torch.cuda.graph(graph, pool=self._pool, stream=self._side, capture_error_mode="thread_local"):
                work()
        return graph.replay


@dataclass(frozen=True, kw_only=True, slots=True)
class PassShape:
    """Properties that videos must share to share recorded passes."""

    schedule: ScaleSchedule
    samples: int
    branches: int
    text_tokens: int
    """Length of the longest text."""
    is_padded: bool
    """Whether texts differ in length."""
    ring_slots: int
    """Past frames in the cache."""
    frames: int
    """Frames whose passes differ."""
    temperature: float
    top_p: float

    @staticmethod
    def of(plan: VideoPlan) -> PassShape:
        """The shape of a video."""
        lengths = sequence_lengths(plan.text, plan.negative, plan.branches)
        ring_slots = min(plan.window, plan.num_frames - 1)
        return PassShape(
            schedule=plan.schedule,
            samples=len(plan.text),
            branches=plan.branches,
            text_tokens=max(lengths),
            is_padded=len(set(lengths)) > 1,
            ring_slots=ring_slots,
            frames=len({alike(frame, ring_slots, plan.model.config.history) for frame in range(plan.num_frames)}),
            temperature=plan.sampling.temperature,
            top_p=plan.sampling.top_p,
        )


class StaticSums(Accumulation):
    """Sums that stay in one place, where recorded passes read and write them."""

    def __init__(self, model: VideoAR, schedule: ScaleSchedule, batch: int) -> None:
        super().__init__(model, schedule, batch)
        self._place, self._previous = self.total, torch.zeros_like(self.total)

    def settle(self) -> None:
        """Copy the sum, which `add` put into a new tensor, back into its place."""
        self._place.copy_(self.total)
        self.total = self._place

    def advance(self) -> None:
        """The frame is complete: the next sum starts at zero, with this frame as its first input."""
        self._previous.copy_(self._place)
        self.begin(1)

    def begin(self, frame: int) -> None:
        """Prepare the passes of a frame; the first frame of a video has no frame before it."""
        self._has_context = self._history == "context" and frame > 0
        self._place.zero_()
        if not frame:
            self._previous.zero_()


class RecordedPasses(Passes):
    """The passes of videos of one shape, one video at a time."""

    def __init__(self, plan: VideoPlan, shape: PassShape, record: Record) -> None:
        super().__init__(plan)
        schedule, device = plan.schedule, self._state.total.device
        self._sums = self._state = StaticSums(plan.model, schedule, len(plan.text))
        self._uniform = torch.zeros(
            len(plan.text), schedule.tokens_per_frame, plan.model.config.latent_dim, device=device
        )
        self._bits = self._uniform.bool()
        self._gamma = torch.zeros(schedule.num_scales, device=device)
        self._repeats: dict[tuple[int, int], Work] = {}
        for frame in range(shape.frames):
            self._record(frame, record)
        self.begin(plan)

    def begin(self, plan: VideoPlan) -> None:
        """Begin a video of this shape."""
        self._plan = plan
        self._decoder.restart(plan.text, plan.negative)
        self._sums.begin(0)
        device, scales = self._gamma.device, range(plan.schedule.num_scales)
        strengths = [[plan.gamma(frame, scale) for scale in scales] for frame in range(plan.num_frames)]
        self._gammas = torch.tensor(strengths, dtype=torch.float32, device=device)
        self._numbers = BitNumbers(plan)

    def read(self, bits: Tensor) -> LatentFrame:
        """The next frame, whose bits are known. Its pass is not recorded: it comes once a video."""
        frame = super().read(bits)
        self._sums.settle()
        return LatentFrame(frame.bits, self._sums.total.clone())

    def sample(self, frame: int, on_scale: OnScale | None) -> LatentFrame:
        """The next frame, by the recorded pass of each scale."""
        self._gamma.copy_(self._gammas[frame])
        self._uniform.copy_(self._numbers.of_frame(self._plan.start + frame))
        recorded = alike(frame, self._decoder.cache.ring_slots, self._plan.model.config.history)
        for scale in range(self._plan.schedule.num_scales):
            self._repeats[recorded, scale]()
            if on_scale is not None:
                on_scale(self._plan.start + frame, scale)
        return LatentFrame(self._bits.clone(), self._sums.total.clone())

    def _record(self, frame: int, record: Record) -> None:
        """Record the passes of a frame; they serve all frames that are `alike`."""
        self._decoder.cache.frame = frame
        self._sums.begin(frame)
        for scale in range(self._plan.schedule.num_scales):
            self._repeats[frame, scale] = record(partial(self._run, scale))

    def _run(self, scale: int) -> None:
        """One pass: everything that it reads and writes is in memory that stays."""
        tokens = slice(*self._plan.schedule.offsets[scale : scale + 2])
        self._bits[:, tokens] = self._sample_scale(scale, self._gamma[scale], self._uniform[:, tokens])
        self._sums.settle()


class Recordings:
    """The recorded passes of the latest shapes of video, of one model."""

    def __init__(self, new_record: Callable[[], Record]) -> None:
        """`new_record` is called once for each shape, so that what is recorded of one can share memory."""
        self._new_record = new_record
        self._kept: OrderedDict[PassShape, RecordedPasses] = OrderedDict()
        self._at_work: set[PassShape] = set()

    @classmethod
    def on(cls, device: torch.device) -> Recordings:
        """Recordings as CUDA graphs. InputError for a device without them."""
        if device.type != "cuda":
            problem = f"has no effect on the device {device.type}: it records CUDA graphs"
            raise InputError("graphs", True, problem, "leave it out, or use a GPU")
        return cls(lambda: CudaGraphs(device))

    @contextmanager
    def open(self, plan: VideoPlan) -> Iterator[Passes]:
        """The passes of a video: recorded ones, unless another video of its shape is using their memory."""
        shape = PassShape.of(plan)
        if shape in self._at_work:
            with enqueued(plan) as passes:
                yield passes
            return
        self._at_work.add(shape)
        try:
            yield self._begun(shape, plan)
        finally:
            self._at_work.discard(shape)

    def _begun(self, shape: PassShape, plan: VideoPlan) -> RecordedPasses:
        if shape in self._kept:
            self._kept.move_to_end(shape)
            self._kept[shape].begin(plan)
        else:
            while len(self._kept) >= KEPT:
                self._kept.popitem(last=False)
            self._kept[shape] = RecordedPasses(plan, shape, self._new_record())
        return self._kept[shape]
