"""From a pack's rectangles to kernel calls: which rectangles share a call, and how their rows lie in memory.

The block-causal pattern needs two kinds of rectangles: a frame's rows against text and past frames, and the rows of a
scale against the scales of its frame up to itself. Within one call every row occurs at most once, so a call is a
variable-length attention; the results of several calls are merged by their log-sum-exp.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from videoar.pretrain.model.attention.layout import PackLayout, Rectangle

Runs = tuple[range, ...]
"""Runs of rows of a pack, in order."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle as a kernel reads it: consecutive rows of q against runs of rows of k and v."""

    rows: range
    """Rows of q as this process holds it."""
    keys: Runs
    """Rows of k and v; adjacent runs are one."""

    @property
    def num_keys(self) -> int:
        """Keys that each row attends to."""
        return sum(len(run) for run in self.keys)


@dataclass(frozen=True, slots=True)
class Call:
    """Pieces that are computed together: no row of q is in two of them."""

    pieces: tuple[Piece, ...]
    causal: bool = False
    """Row i of a piece attends to its keys 0 to i (square pieces only)."""
    merges: bool = False
    """Some rows already have a result of an earlier call."""


def calls_of(layout: PackLayout, queries: Runs) -> tuple[Call, ...]:
    """The attention of these rows of a pack, as at most four kernel calls.

    Keys that neighbouring frames share, what else each of them sees, the scales of a frame, and causal text.
    """
    others: list[Piece] = []
    own: list[Piece] = []
    causal: list[Piece] = []
    for rectangle in layout.rectangles():
        for rows, local in held(rectangle.rows, queries):
            if rectangle.causal:
                before = range(rectangle.rows.start, rows.start)
                if before:
                    others.append(Piece(local, (before,)))
                causal.append(Piece(local, (rows,)))
            else:
                (own if rectangle.own else others).append(Piece(local, _joined(rectangle)))
    shared, rest = share_keys(others)
    calls = (
        Call(tuple(shared)),
        Call(tuple(rest), merges=True),
        Call(tuple(own), merges=True),
        Call(tuple(causal), causal=True, merges=True),
    )
    return tuple(call for call in calls if call.pieces)


MOST_ROWS = 512
"""Number of rows above which a kernel does not get faster: larger frames are not grouped."""
LEAST_SHARE = 0.75
"""Smallest share of its keys that a frame must share with its group: the other keys need a second call."""


def share_keys(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Neighbouring small frames as one piece with the keys that all of them see, and pieces for their other keys.

    Kernels compute by tiles of rows: on one AVX-512 core the bf16 backward of 130 rows had half the FLOP/s of 1,040.
    """
    shared: list[Piece] = []
    rest: list[Piece] = []
    for group in _groups(pieces):
        common = _common(group)
        shared.append(Piece(range(group[0].rows.start, group[-1].rows.stop), common))
        besides = (Piece(one.rows, difference(one.keys, common)) for one in group)
        rest.extend(one for one in besides if one.keys)
    return shared, rest


def _groups(pieces: list[Piece]) -> list[list[Piece]]:
    """The pieces in order, those together that share a call."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and _fits(groups[-1], piece):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _fits(group: list[Piece], piece: Piece) -> bool:
    first, last = group[0].rows.start, group[-1].rows.stop
    if piece.rows.start != last or piece.rows.stop - first > MOST_ROWS:
        return False
    common = sum(len(run) for run in _common([*group, piece]))
    return all(common >= LEAST_SHARE * one.num_keys for one in (*group, piece))


def _common(group: list[Piece]) -> Runs:
    return functools.reduce(intersection, (piece.keys for piece in group))


def intersection(one: Runs, other: Runs) -> Runs:
    """The rows in both; runs are in order."""
    parts = (range(max(a.start, b.start), min(a.stop, b.stop)) for a in one for b in other)
    return tuple(part for part in parts if part)


def difference(one: Runs, other: Runs) -> Runs:
    """The rows in the first but not in the second; runs are in order."""
    left = one
    for gap in other:
        cut = ((range(run.start, min(run.stop, gap.start)), range(max(run.start, gap.stop), run.stop)) for run in left)
        left = tuple(part for both in cut for part in both if part)
    return left


def held(rows: range, queries: Runs) -> Iterator[tuple[range, range]]:
    """The parts of these rows that are among the queries, and where they are in q."""
    offset = 0
    for run in queries:
        start, stop = max(rows.start, run.start), min(rows.stop, run.stop)
        if start < stop:
            yield range(start, stop), range(start - run.start + offset, stop - run.start + offset)
        offset += len(run)


def _joined(rectangle: Rectangle) -> Runs:
    """The keys, with runs that touch each other made one."""
    runs: list[range] = []
    for run in rectangle.keys:
        if runs and runs[-1].stop == run.start:
            runs[-1] = range(runs[-1].start, run.stop)
        else:
            runs.append(run)
    return tuple(runs)


@dataclass(frozen=True, slots=True)
class Progression:
    """`count` runs of `length` rows, the first at `start`, each `step` rows after the one before."""

    start: int
    length: int
    count: int = 1
    step: int = 0

    def then(self, start: int) -> Progression | None:
        """This progression with one more run that starts there; None if it is not evenly spaced or would overlap."""
        step = start - self.start if self.count == 1 else self.step
        if step < self.length or start != self.start + self.count * step:
            return None
        return Progression(self.start, self.length, self.count + 1, step)


@dataclass(frozen=True, slots=True)
class Batch:
    """Pieces of one shape that views of q, k and v hold: `keys` is a progression, or the runs of a single piece."""

    rows: Progression
    keys: Progression | Runs


def batches_of(pieces: Iterable[Piece]) -> tuple[Batch, ...]:
    """The pieces in batches of equal shape and spacing, as the frames of a clip or the images of a pack have."""
    batches: list[Batch] = []
    shapes: dict[tuple[int, int], list[Piece]] = defaultdict(list)
    for piece in pieces:
        if len(piece.keys) == 1:
            shapes[len(piece.rows), len(piece.keys[0])].append(piece)
        else:
            batches.append(Batch(Progression(piece.rows.start, len(piece.rows)), piece.keys))
    for alike in shapes.values():
        batches.extend(_progressions(alike))
    return tuple(batches)


MOST_KEYS = 2048
"""Largest number of keys of a batch: its gradients are computed before they are added up, and more keys are not
faster."""


def _progressions(pieces: list[Piece]) -> Iterator[Batch]:
    rows = Progression(pieces[0].rows.start, len(pieces[0].rows))
    keys = Progression(pieces[0].keys[0].start, len(pieces[0].keys[0]))
    for piece in itertools.islice(pieces, 1, None):
        more_rows, more_keys = rows.then(piece.rows.start), keys.then(piece.keys[0].start)
        if more_rows is None or more_keys is None or more_keys.count * more_keys.length > MOST_KEYS:
            yield Batch(rows, keys)
            more_rows = Progression(piece.rows.start, rows.length)
            more_keys = Progression(piece.keys[0].start, keys.length)
        rows, keys = more_rows, more_keys
    yield Batch(rows, keys)
