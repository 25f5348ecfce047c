"""The layout against the definition of every row: who sees whom, where it is, and what each frame costs."""

from dataclasses import replace

import numpy as np
import pytest

from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

named = ScaleSchedule.named
both_histories = pytest.mark.parametrize("history", ["scales", "context"])


def example(text_attention: str = "full", history: HistoryKind = "scales") -> PackLayout:
    """A clip with gaps in S_t, an image, a clip of another shape, and padding."""
    rng, segments, start = np.random.default_rng(0), [], 0
    wide = ScaleSchedule("wide", ((1, 1), (2, 3), (2, 5)))
    for schedule, num_frames, num_text in ((named("48x48"), 4, 3), (named("32x32"), 1, 1), (wide, 3, 2)):
        visible = np.tril(rng.random((num_frames, num_frames)) < 0.5, -1)
        segments.append(Segment(schedule, num_frames, num_text, start, visible, history))
        start = segments[-1].visual.stop
    return PackLayout(tuple(segments), start + 9, text_attention)


def sees(layout: PackLayout, query: int, key: int) -> bool:
    """Block-causal attention of VideoAR Eq. 5 and 9, for one pair; with context, past frames are their context."""
    sample, frame, scale, context = layout.sample, layout.frame, layout.scale, layout.is_context
    if sample[query] != sample[key] or sample[query] < 0:
        return False
    if frame[key] < 0:
        return frame[query] >= 0 or layout.text_attention == "full" or key <= query
    if frame[query] < 0:
        return False
    if frame[query] == frame[key]:
        return context[query] == context[key] and scale[key] <= scale[query]
    segment = layout.segments[sample[query]]
    return context[key] == (segment.history == "context") and bool(segment.visible[frame[query], frame[key]])


@pytest.mark.parametrize(("text_attention", "history"), [("full", "scales"), ("causal", "scales"), ("full", "context")])
def test_rectangles_are_the_definition(text_attention: str, history: HistoryKind) -> None:
    """Each pair exactly once: a doubled one would count twice when partial attentions are merged."""
    layout = example(text_attention, history)
    counts = np.zeros((layout.length, layout.length), int)
    for rectangle in layout.rectangles():
        for run in rectangle.keys:
            block = np.ones((len(rectangle.rows), len(run)), int)
            counts[np.ix_(rectangle.rows, run)] += np.tril(block) if rectangle.causal else block
    expected = [[sees(layout, query, key) for key in range(layout.length)] for query in range(layout.length)]
    assert np.array_equal(counts, np.array(expected, int))
    assert np.array_equal(layout.dense_mask().numpy(), expected)
    assert layout.attended_pairs == np.sum(expected)


@both_histories
def test_a_row_is_in_one_rectangle_of_each_kind(history: HistoryKind) -> None:
    """A kernel issues all rectangles of a kind in one call: a row in two of them would be overwritten."""
    layout = example(history=history)
    for own in (False, True):
        rows = [row for rectangle in layout.rectangles() if rectangle.own == own for row in rectangle.rows]
        assert len(rows) == len(set(rows))
        wanted = layout.scale >= 0 if own else layout.sample >= 0
        assert sorted(rows) == np.flatnonzero(wanted).tolist()


@both_histories
def test_tokens_are_in_the_order_of_the_stored_bits(history: HistoryKind) -> None:
    """Text, then frames, then scales coarse to fine, row-major: any other order pairs inputs with wrong targets."""
    layout, expected, texts = example(history=history), [], []
    for index, segment in enumerate(layout.segments):
        texts += [(index, i) for i in range(segment.num_text)]
        expected += [(index, -1, -1, -1, -1)] * segment.num_text
        for frame in range(segment.num_frames):
            for scale, (h, w) in enumerate(segment.schedule.grids):
                expected += [(index, frame, scale, y, x) for y in range(h) for x in range(w)]
            if history == "context" and frame < segment.num_frames - 1:
                expected += [(index, frame, -1, y, x) for y in range(h) for x in range(w)]
    expected += [(-1,) * 5] * 9
    found = np.stack([layout.sample, layout.frame, layout.scale, layout.row, layout.column], axis=1)
    assert np.array_equal(found, expected)
    assert [
        (layout.sample[row], index) for row, index in zip(layout.text_rows, layout.text_index, strict=True)
    ] == texts


@both_histories
def test_rows_of_a_schedule_are_those_of_its_frames(history: HistoryKind) -> None:
    """Features of all frames of a schedule are scattered there in one go, and so are those of their context."""
    layout = example(history=history)
    for index, segment in enumerate(layout.segments):
        own = layout.sample == index
        assert np.array_equal(layout.visual_rows(segment.schedule), np.flatnonzero(own & (layout.scale >= 0)))
        assert np.array_equal(layout.context_rows(segment.schedule), np.flatnonzero(own & layout.is_context))
    first = layout.segments[0]
    two = PackLayout((first, replace(first, start=first.visual.stop)), 256)
    assert np.array_equal(two.visual_rows(first.schedule), np.flatnonzero(two.scale >= 0))
    assert np.array_equal(two.context_rows(first.schedule), np.flatnonzero(two.is_context))
    followed = [0, 1, 2, 4, 5, 6] if history == "context" else []
    assert two.followed_frames(first.schedule).tolist() == followed, "the last frame of a clip has no context"


@both_histories
def test_positions_of_text_and_frames(history: HistoryKind) -> None:
    """Text (i, i, i); visual (t + m, y + m, x + m) with the sample's own m (Eq. 7)."""
    layout = example(history=history)
    positions = layout.positions("raw")
    for row in range(layout.length):
        if layout.sample[row] < 0:
            expected = [0, 0, 0]
        elif layout.frame[row] < 0:
            expected = [row - layout.segments[layout.sample[row]].start] * 3
        else:
            m = layout.segments[layout.sample[row]].num_text
            expected = [layout.frame[row] + m, layout.row[row] + m, layout.column[row] + m]
        assert positions[row].tolist() == expected


def test_context_is_where_the_last_scale_of_its_frame_is() -> None:
    """A context token stands for a cell of the latent frame: at another place it would be another cell."""
    layout = example(history="context")
    for segment in layout.segments:
        for frame in range(segment.num_frames - 1):
            last = segment.scale(frame, segment.schedule.num_scales - 1)
            for table in (layout.positions("centre"), layout.places()):
                assert np.array_equal(table[segment.context(frame)], table[last])


@pytest.mark.parametrize("name", ["128x128", "384x672", "1776x592"])
def test_places_stay_on_the_finest_grid(name: str) -> None:
    """Learned positions look them up: one beyond the grid is another frame's row of the table."""
    schedule = named(name)
    layout = PackLayout((Segment(schedule, 1, 1, 0, np.zeros((1, 1), bool)),), 1 + schedule.tokens_per_frame)
    places, last = layout.places()[1:], schedule.offsets[-2]
    assert places.min() == 0
    assert (places.max(axis=0) < (1, *schedule.grid)).all()
    assert np.array_equal(places[last:, 1], np.repeat(np.arange(schedule.grid[0]), schedule.grid[1]))
    assert places[0].tolist() == [0, schedule.grid[0] // 2, schedule.grid[1] // 2]


def test_a_pack_that_overflows_is_caught() -> None:
    """A sample cut off at the end would train on half a frame."""
    layout = example()
    with pytest.raises(AssertionError, match="tokens in a pack of"):
        PackLayout(layout.segments, layout.length - 10)
