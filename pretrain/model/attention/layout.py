"""Which token is in which row of a pack, and who attends to whom: plain host integers, the same for every backend.

A pack is one sequence [text][frame 1: scales coarse to fine][frame 2] ... of each sample in turn, and padding. The
block-causal pattern (VideoAR §4.2, Eq. 5 and 9) is a list of full rectangles. Only the reference backend needs an l x l
object: its dense mask is painted from the same rectangles.

With history `context` (ours, beyond the paper) every frame but the last is followed by context tokens, one for each
cell of its last scale, and later frames see these instead of its scales. They carry no loss.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from videoar.pretrain.config import RopeKind
from videoar.pretrain.model.attention.frame_tables import finest_coordinates, frame_weights, grid_cells
from videoar.pretrain.model.layers import Attend
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

TextAttention = Literal["full", "causal"]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Every row attends to every key; with `causal` (text only) row i attends to keys 0 to i."""

    rows: range
    keys: tuple[range, ...]
    causal: bool = False
    own: bool = False
    """A scale against its own frame. A row is in at most one such rectangle, and in at most one other."""

    @property
    def pairs(self) -> int:
        """Attended pairs of query and key."""
        height, width = len(self.rows), sum(len(run) for run in self.keys)
        return height * (height + 1) // 2 if self.causal else height * width


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One sample's place in a pack, and which past frames each of its frames sees."""

    schedule: ScaleSchedule
    num_frames: int
    """Latent frames."""
    num_text: int
    """Text tokens m; at least 1."""
    start: int
    """First row in the pack."""
    visible: Bool[np.ndarray, "t t"]
    """Row t: the past frames S_t (Eq. 9). Only entries below the diagonal are set."""
    history: HistoryKind = "scales"
    """What later frames see of a past one."""

    def __post_init__(self) -> None:
        assert self.num_text >= 1
        assert self.visible.shape == (self.num_frames, self.num_frames)
        assert not np.triu(self.visible).any()

    @property
    def text(self) -> range:
        """Rows of the text."""
        return range(self.start, self.start + self.num_text)

    @property
    def visual(self) -> range:
        """Rows of all frames, and of the context tokens between them."""
        return range(self.text.stop, self.text.stop + self.schedule.video_tokens(self.num_frames, self.history))

    def frame(self, frame: int) -> range:
        """Rows of one frame, all scales."""
        tokens = self.schedule.tokens_per_frame
        start = self.text.stop + frame * (tokens + self.schedule.context_tokens(self.history))
        return range(start, start + tokens)

    def scale(self, frame: int, scale: int) -> range:
        """Rows of one scale of one frame."""
        start, offsets = self.frame(frame).start, self.schedule.offsets
        return range(start + offsets[scale], start + offsets[scale + 1])

    def context(self, frame: int) -> range:
        """Rows of the context tokens that follow a frame; empty after the last one, and without context."""
        start = self.frame(frame).stop
        is_last = frame == self.num_frames - 1
        return range(start, start if is_last else start + self.schedule.context_tokens(self.history))

    def rectangles(self, text_attention: TextAttention) -> Iterator[Rectangle]:
        """text x text; each frame x (text + S_t); each scale x the scales of its frame up to itself.

        With context, S_t stands for the context tokens of those frames, and a frame's own x (text + S_t + own).
        """
        yield Rectangle(self.text, (self.text,), causal=text_attention == "causal")
        seen = self.context if self.history == "context" else self.frame
        for frame in range(self.num_frames):
            rows, context = self.frame(frame), self.context(frame)
            past = tuple(seen(int(other)) for other in np.flatnonzero(self.visible[frame]))
            yield Rectangle(rows, (self.text, *past))
            for scale in range(self.schedule.num_scales):
                own = self.scale(frame, scale)
                yield Rectangle(own, (range(rows.start, own.stop),), own=True)
            if context:
                yield Rectangle(context, (self.text, *past, context))


@dataclass(frozen=True, eq=False)
class PackLayout:
    """The segments of one pack of `length` rows; the rows after the last segment are padding."""

    segments: tuple[Segment, ...]
    length: int
    text_attention: TextAttention = "full"
    attends: dict[Any, Attend] = field(default_factory=dict, init=False, repr=False)
    """The attentions that `choose` has built for this pack, so that each is built once."""

    def __post_init__(self) -> None:
        end = 0
        for segment in self.segments:
            assert segment.start == end, "segments follow each other without gaps"
            end = segment.visual.stop
        assert end <= self.length, f"{end} tokens in a pack of {self.length}"

    def rectangles(self) -> Iterator[Rectangle]:
        """Who attends to whom, exactly once each."""
        for segment in self.segments:
            yield from segment.rectangles(self.text_attention)

    @functools.cached_property
    def attended_pairs(self) -> int:
        """Attended pairs of query and key: what attention costs."""
        return sum(rectangle.pairs for rectangle in self.rectangles())

    @functools.cached_property
    def sample(self) -> Int64[np.ndarray, " l"]:
        """Index of each row's segment; -1 in the padding."""
        sample = np.full(self.length, -1)
        for index, segment in enumerate(self.segments):
            sample[segment.start : segment.visual.stop] = index
        return sample

    @property
    def frame(self) -> Int64[np.ndarray, " l"]:
        """Latent frame of each row of a scale or of context, from 0; -1 elsewhere."""
        return self._cells[:, 0]

    @property
    def scale(self) -> Int64[np.ndarray, " l"]:
        """Scale of each row that has bits, from 0; -1 elsewhere: text, context and padding."""
        return self._cells[:, 1]

    @property
    def row(self) -> Int64[np.ndarray, " l"]:
        """Row of each visual token in the grid of its scale (of context: of the last scale); -1 elsewhere."""
        return self._cells[:, 2]

    @property
    def column(self) -> Int64[np.ndarray, " l"]:
        """Column of each visual token in the grid of its scale (of context: of the last scale); -1 elsewhere."""
        return self._cells[:, 3]

    @functools.cached_property
    def is_context(self) -> Bool[np.ndarray, " l"]:
        """True for the rows of context tokens."""
        return (self.frame >= 0) & (self.scale < 0)

    @functools.cached_property
    def text_rows(self) -> Int64[np.ndarray, " m"]:
        """Rows of all text tokens, in order."""
        return np.flatnonzero((self.sample >= 0) & (self.frame < 0))

    @functools.cached_property
    def text_index(self) -> Int64[np.ndarray, " m"]:
        """Place of each text token within its sample's text, from 0."""
        return np.concatenate([np.arange(segment.num_text) for segment in self.segments])

    def visual_rows(self, schedule: ScaleSchedule) -> Int64[np.ndarray, " v"]:
        """Rows of all scales of all frames of this schedule, in order."""
        return indices(segment.frame(frame) for segment, frame in self._frames(schedule))

    def context_rows(self, schedule: ScaleSchedule) -> Int64[np.ndarray, " c"]:
        """Rows of all context tokens of this schedule, in order."""
        return indices(segment.context(frame) for segment, frame in self._frames(schedule))

    def followed_frames(self, schedule: ScaleSchedule) -> Int64[np.ndarray, " f"]:
        """Which of the frames of this schedule, counted from 0 over all samples, have context tokens."""
        return np.flatnonzero([bool(segment.context(frame)) for segment, frame in self._frames(schedule)])

    def _frames(self, schedule: ScaleSchedule) -> Iterator[tuple[Segment, int]]:
        """All frames of this schedule, in order."""
        for segment in self.segments:
            if segment.schedule == schedule:
                yield from ((segment, frame) for frame in range(segment.num_frames))

    def positions(self, kind: RopeKind) -> Float32[np.ndarray, "l 3"]:
        """Position on (time, height, width): text (i, i, i), visual (t + m, y + m, x + m); Eq. 7. Padding: 0."""
        positions = np.zeros((self.length, 3), np.float32)
        for segment in self.segments:
            positions[_slice(segment.text)] = np.arange(segment.num_text)[:, None]
            table = finest_coordinates(segment.schedule, kind, segment.history)
            positions[_slice(segment.visual)] = segment.num_text + _over_frames(segment, table)
        return positions

    def places(self) -> Int64[np.ndarray, "l 3"]:
        """Frame, and row and column of the cell's centre on the finest grid: what learned positions look up."""
        places = np.zeros((self.length, 3), np.int64)
        for segment in self.segments:
            centres = np.floor(finest_coordinates(segment.schedule, "centre", segment.history) + 0.5).astype(np.int64)
            places[_slice(segment.visual)] = _over_frames(segment, centres)
        return places

    def loss_weights(self) -> Float32[np.ndarray, " l"]:
        """Weight of each token's loss: a_s = 1 / (sqrt(n_s) sum_j sqrt(n_j)); a frame sums to 1, all other rows are 0.

        Infinity's square-root reweighting (arXiv:2412.04431, released code); n_s = h_s w_s.
        """
        weights = np.zeros(self.length, np.float32)
        for segment in self.segments:
            for frame in range(segment.num_frames):
                weights[_slice(segment.frame(frame))] = frame_weights(segment.schedule)
        return weights

    def dense_mask(self) -> Bool[Tensor, "l l"]:
        """The pattern as a matrix (row: query, column: key); only the reference backend uses it."""
        mask = torch.zeros(self.length, self.length, dtype=torch.bool)
        for rectangle in self.rectangles():
            rows = _slice(rectangle.rows)
            for run in rectangle.keys:
                mask[rows, _slice(run)] = True
            if rectangle.causal:
                mask[rows, rows].tril_()
        return mask

    @functools.cached_property
    def _cells(self) -> Int64[np.ndarray, "l 4"]:
        cells = np.full((self.length, 4), -1)
        for segment in self.segments:
            cells[_slice(segment.visual)] = _over_frames(segment, grid_cells(segment.schedule, segment.history))
        return cells


def _slice(run: range) -> slice:
    """The run as a slice: indexing by a range would make NumPy copy."""
    return slice(run.start, run.stop)


def indices(runs: Iterable[range]) -> Int64[np.ndarray, " rows"]:
    """The rows of these runs, one after the other."""
    return np.concatenate([np.arange(run.start, run.stop) for run in runs])


def moved(values: np.ndarray, device: torch.device) -> Tensor:
    """The array on the device, copied from pinned memory without waiting."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _over_frames(segment: Segment, cells: np.ndarray) -> np.ndarray:
    """Repeat a table of a frame and its context for every frame, with the frame's index as the first column.

    No context follows the last frame.
    """
    frames = np.repeat(np.arange(segment.num_frames), len(cells))
    table = np.concatenate([frames[:, None], np.tile(cells, (segment.num_frames, 1))], axis=1)
    return table[: len(segment.visual)]
