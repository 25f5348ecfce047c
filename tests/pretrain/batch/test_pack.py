"""Packs: what a sample becomes does not depend on its company, and evaluation has no chance in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tests.operations import Operations
from videoar.cluster.ground.errors import InputError
from videoar.pretrain.batch.pack import Pack, host_pack
from videoar.pretrain.engine.loss import bitwise_loss
from videoar.pretrain.model.attention.layout import Segment
from videoar.tokenizer import bsq
from videoar.tokenizer.residual import accumulate
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule


def rows_of(segment: Segment) -> slice:
    return slice(segment.start, segment.visual.stop)


def text_of(pack: Pack, segment: Segment) -> torch.Tensor:
    """Which entries of the text tables belong to a sample."""
    rows = pack.inputs.text_rows
    return (rows >= segment.start) & (rows < segment.text.stop)


@pytest.mark.parametrize("history", ["scales", "context"])
def test_a_pack_of_several_samples_equals_each_alone(toy, history: HistoryKind) -> None:
    """Flips, masks and dropout keyed by place, or attention across samples, would show here."""
    toy = toy.with_model(history=history).with_stage(tokens_per_pack=512)
    samples = [toy.sample(1), toy.sample(2, "64x64", 1, 5), toy.sample(3, "48x48", 4, 1), toy.sample(4, "64x64", 2)]
    model = toy.model()
    together = toy.pack(*samples, seed=3, step=8)
    logits, total = toy.logits(model, together), 0.0
    for sample, segment in zip(samples, together.layout.segments, strict=True):
        alone = toy.pack(sample, seed=3, step=8)
        here, there = rows_of(segment), rows_of(alone.layout.segments[0])
        for name in ("features", "scale", "is_context", "is_start", "positions", "places"):
            assert torch.equal(getattr(together.inputs, name)[here], getattr(alone.inputs, name)[there]), name
        for name in ("text_tokens", "text_index", "text_dropped"):
            assert torch.equal(getattr(together.inputs, name)[text_of(together, segment)], getattr(alone.inputs, name))
        assert torch.equal(together.targets[here], alone.targets[there])
        assert torch.equal(together.weights[here], alone.weights[there])
        assert (
            together.layout.segments[0].visible == toy.pack(samples[0], seed=3, step=8).layout.segments[0].visible
        ).all()
        logits_alone = toy.logits(model, alone)
        torch.testing.assert_close(logits[segment.visual], logits_alone[alone.layout.segments[0].visual])
        total += bitwise_loss(logits_alone, alone)[0]
    torch.testing.assert_close(bitwise_loss(logits, together)[0], total)


def test_evaluation_has_no_chance_in_it(toy) -> None:
    """Validation compares steps: flips, masks or dropped text would move it."""
    sample = toy.sample(1, "64x64", 4)
    one, other = (toy.plain_pack(sample) for _ in range(2))
    segment = one.layout.segments[0]
    assert torch.equal(one.inputs.features, other.inputs.features)
    assert torch.equal(one.targets[segment.visual], torch.from_numpy(sample.bits).flatten(0, 1))
    assert segment.visible.sum() == 6
    assert not one.inputs.text_dropped.any()
    assert one.flip_ratio.tolist() == [0, 0]
    assert not torch.equal(one.inputs.features, toy.pack(sample).inputs.features)


def test_inputs_are_the_accumulation_of_what_came_before(toy) -> None:
    """Eq. 6: a scale starts from the coarser scales of its frame, a frame from the whole frame before, by area."""
    sample, schedule = toy.sample(1, "64x64", 3, 2), ScaleSchedule.named("64x64")
    pack = toy.plain_pack(sample)
    segment, bits = pack.layout.segments[0], torch.from_numpy(sample.bits)
    whole = accumulate(bits, schedule)
    first, second = segment.scale(0, 0), segment.scale(1, 0)
    assert pack.inputs.is_start.nonzero().flatten().tolist() == list(first)
    assert (pack.inputs.features[first] == 0).all()
    torch.testing.assert_close(pack.inputs.features[second], F.adaptive_avg_pool2d(whole[0], (1, 1)).flatten()[None])
    coarse = torch.zeros_like(whole[1:2])
    for (h, w), of_scale in zip(schedule.grids[:2], bits[1:2].split(list(schedule.tokens), 1), strict=False):
        code = bsq.codes(of_scale).mT.view(1, -1, h, w)
        coarse += F.interpolate(code, schedule.grid, mode="bilinear")
    expected = F.interpolate(coarse, schedule.grids[2], mode="bilinear").flatten(2)[0].T
    torch.testing.assert_close(pack.inputs.features[segment.scale(1, 2)], expected)


def test_context_tokens_start_from_the_whole_frame(toy) -> None:
    """The sum that the next frame's first scale takes by area, cell by cell: the flipped one in training."""
    toy, sample = toy.with_model(history="context"), toy.sample(1, "64x64", 3, 2)
    plain, trained = toy.plain_pack(sample), toy.pack(sample)
    segment, whole = plain.layout.segments[0], accumulate(torch.from_numpy(sample.bits), ScaleSchedule.named("64x64"))
    for frame in range(2):
        context, following = segment.context(frame), segment.scale(frame + 1, 0)
        torch.testing.assert_close(plain.inputs.features[context], whole[frame].flatten(1).T)
        assert not torch.equal(trained.inputs.features[context], plain.inputs.features[context])
        by_area = trained.inputs.features[context].mean(0, keepdim=True)
        torch.testing.assert_close(trained.inputs.features[following], by_area)
    assert not segment.context(2)


def test_context_changes_no_other_row(toy) -> None:
    """Bits, flips and weights are those of the paper's sequence: the ablation adds tokens and nothing else."""
    samples = (toy.sample(1, "64x64", 3), toy.sample(2, "32x32", 1), toy.sample(3, "48x48", 2))
    packs = [toy.with_model(history=history).pack(*samples) for history in ("scales", "context")]
    for name in ("features", "positions", "places", "scale"):
        one, other = (getattr(pack.inputs, name)[pack.inputs.scale >= 0] for pack in packs)
        assert torch.equal(one, other), name
    for name in ("targets", "weights"):
        one, other = (getattr(pack, name)[pack.inputs.scale >= 0] for pack in packs)
        assert torch.equal(one, other), name
    context = packs[1].inputs.is_context
    assert context.sum() == 2 * 16 + 9
    assert not packs[1].weights[context].any()
    assert not packs[1].targets[context].any()


def test_autocast_changes_nothing(toy) -> None:
    """A sign taken from bfloat16 is another bit: inputs are float32, also under autocast."""
    sample = toy.sample(1, "64x64", 3)
    plain = toy.pack(sample)
    with torch.autocast("cpu", torch.bfloat16):
        cast = toy.pack(sample)
    assert torch.equal(plain.targets, cast.targets)
    assert torch.equal(plain.inputs.features, cast.inputs.features)


def test_text_dropout_takes_whole_samples(toy) -> None:
    """Guidance needs the unconditional branch: all of a sample's text or none, at the rate asked for, lengths kept."""
    samples = [toy.sample(number, "32x32", 1, 1 + number % 3) for number in range(36)]
    dropped = torch.stack([toy.pack(*samples, step=step).inputs.text_dropped for step in range(10)])
    pack = toy.pack(*samples)
    sample = pack.layout.sample[pack.layout.text_rows]
    for index in range(36):
        own = dropped[:, torch.from_numpy(sample == index)]
        assert (own == own[:, :1]).all()
    firsts = dropped[:, pack.inputs.text_index == 0].float()
    assert abs(firsts.mean() - toy.text_dropout) < 5 * (0.21 / firsts.numel()) ** 0.5


def test_dropped_text_leaves_no_trace(toy) -> None:
    """The null table must hide the caption from every logit."""
    toy = replace(toy, text_dropout=1.0)
    sample = toy.sample(1)
    other = replace(sample, text=(sample.text + 1) % 257)
    model = toy.model()
    assert torch.equal(toy.logits(model, toy.pack(sample)), toy.logits(model, toy.pack(other)))
    kept = replace(toy, text_dropout=0.0)
    assert not torch.equal(toy.logits(model, kept.pack(sample)), toy.logits(model, kept.pack(other)))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_scales": 2}, r"model\.max_scales=2"),
        ({"rope": "learned", "max_frames": 2}, r"model\.max_frames=2"),
        ({"rope": "learned", "max_side": 2}, r"model\.max_side=2"),
    ],
)
def test_what_the_tables_do_not_hold_is_refused(toy, fields: dict[str, object], named: str) -> None:
    """An index beyond a table is an assert on the device, far from its cause."""
    with pytest.raises(InputError, match=named):
        toy.with_model(**fields).pack(toy.sample(1))


def test_metrics_count_the_ratios_used(toy) -> None:
    """The mean ratio over frames and scales shows whether Eq. 8 runs as the recipe says."""
    toy = toy.with_correction(p_min=0.1, p_max=0.1, delta=0.1, inheritance=False)
    total, count = toy.pack(toy.sample(1, "48x48", 3), toy.sample(2, "64x64", 1)).flip_ratio.tolist()
    assert count == 3 * 3 + 4
    assert total == pytest.approx(3 * (0.2 + 0.3 + 0.4) + 4 * 0.2)


def test_a_pack_needs_few_launches(toy) -> None:
    """Drawn scale by scale, the flips alone were 800 launches a pack, while the GPU had nothing to do."""
    toy = toy.with_model(max_scales=7).with_stage(tokens_per_pack=768)
    host = host_pack([toy.sample(1, "256x256", 1)], toy.recipe(), toy.stage, 0)
    with Operations() as operations:
        host.on("cpu")
    assert operations.launches <= 95
    assert operations.reads == 0
