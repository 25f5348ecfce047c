"""The generator: what may depend on what, and what every part is made of."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch

from videoar.data_pipeline.shards.sample import PackedBits, Sample
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.config import RopeKind, TextConfig
from videoar.pretrain.engine.loss import bitwise_loss
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.layout import PackLayout
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

ROPES: tuple[RopeKind, ...] = ("centre", "raw", "corner", "learned")
POSITIONS_AND_HISTORIES = [*((rope, "scales") for rope in ROPES), ("centre", "context"), ("learned", "context")]


def changed_rows(before: torch.Tensor, after: torch.Tensor, rows: Iterable[int]) -> list[bool]:
    return (before[list(rows)] != after[list(rows)]).any(dim=-1).tolist()


def flipped(sample: Sample, frame: int, scale: int) -> Sample:
    """The sample with all bits of one scale of one frame changed."""
    offsets, bits = ScaleSchedule.named(sample.entry.schedule).offsets, sample.bits
    bits[frame, offsets[scale] : offsets[scale + 1]] ^= True
    return replace(sample, codes=PackedBits.of(bits))


def visible_packs(toy, visible: np.ndarray, text_attention: str = "full") -> tuple[Pack, PackLayout]:
    """A pack of one clip, and its layout with S_t given by hand."""
    pack = toy.plain_pack(toy.sample(1, "48x48", len(visible), 2))
    own = replace(pack.layout.segments[0], visible=visible)
    return pack, PackLayout((own,), pack.layout.length, text_attention)


@pytest.mark.parametrize(("rope", "history"), POSITIONS_AND_HISTORIES)
@pytest.mark.parametrize("training", [True, False])
def test_bits_reach_later_scales_and_frames_only(toy, rope: RopeKind, history: HistoryKind, training: bool) -> None:
    """A leak from the future makes training look better than sampling can ever be."""
    toy = toy.with_model(rope=rope, history=history).with_stage(p_mask=0.0)
    if training:
        toy = toy.with_correction(targets="stored")
    model, sample = toy.model(), toy.sample(1, "48x48", 3)
    build = toy.pack if training else toy.plain_pack
    pack = build(sample)
    before, segment = toy.logits(model, pack), pack.layout.segments[0]
    for frame in range(3):
        for scale in range(3):
            after = toy.logits(model, build(flipped(sample, frame, scale)))
            for t in range(3):
                for s in range(3):
                    changed = changed_rows(before, after, segment.scale(t, s))
                    assert all(changed) if (t, s) > (frame, scale) else not any(changed), (frame, scale, t, s)
            assert torch.equal(before[segment.text], after[segment.text])


@pytest.mark.parametrize(("rope", "history"), POSITIONS_AND_HISTORIES)
def test_every_logit_hears_the_text(toy, rope: RopeKind, history: HistoryKind) -> None:
    """Text conditions all frames and scales, and their context, and is never masked."""
    toy = replace(toy.with_model(rope=rope, history=history).with_stage(p_mask=0.9), text_dropout=0.0)
    model, sample = toy.model(), toy.sample(1, "48x48", 3, 4)
    pack, text = toy.pack(sample), sample.text.copy()
    text[2] = (text[2] + 1) % 257
    after = toy.logits(model, toy.pack(replace(sample, text=text)))
    assert all(changed_rows(toy.logits(model, pack), after, pack.layout.segments[0].visual))


@pytest.mark.parametrize("rope", ROPES)
def test_the_order_of_text_matters(toy, rope: RopeKind) -> None:
    """Without positions, learned or rotary, a caption is a bag of bytes."""
    toy = replace(toy.with_rope(rope), text_dropout=0.0)
    model, sample = toy.model(), toy.sample(1, "48x48", 1, 4)
    sample.text[:] = [1, 2, 3, 4]
    swapped = replace(sample, text=sample.text[[1, 0, 2, 3]])
    before, after = toy.logits(model, toy.pack(sample)), toy.logits(model, toy.pack(swapped))
    assert not torch.allclose(before, after, atol=1e-3)


@pytest.mark.parametrize("rope", ROPES)
def test_a_cell_knows_where_it_is(toy, rope: RopeKind) -> None:
    """Equal features at two places, or in two frames, must not give equal logits."""
    toy = toy.with_rope(rope)
    model, pack = toy.model(), toy.plain_pack(toy.sample(1, "48x48", 2))
    pack.inputs.features[:] = 1.0
    logits, segment = toy.logits(model, pack), pack.layout.segments[0]
    last = logits[segment.scale(1, 2)]
    assert len(torch.unique(last, dim=0)) == 9
    assert not torch.allclose(last, logits[segment.scale(0, 2)], atol=1e-4)


def test_a_masked_frame_changes_nothing_in_one_layer(toy) -> None:
    """Eq. 9: within one attention layer, frame t reads S_t, its own frame and the text, and nothing else."""
    visible = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], bool)
    _, layout = visible_packs(toy, visible)
    segment, attend = layout.segments[0], choose(layout, "cpu")
    torch.manual_seed(0)
    q, k, v = torch.randn(3, layout.length, 2, 16)
    before = attend(0, q, k, v)
    for frame in range(4):
        other_k, other_v = k.clone(), v.clone()
        other_k[segment.frame(frame)] += 1
        other_v[segment.frame(frame)] -= 1
        after = attend(0, q, other_k, other_v)
        for t in range(4):
            changed = changed_rows(before.flatten(1), after.flatten(1), segment.frame(t))
            assert all(changed) if visible[t, frame] or t == frame else not any(changed)


def test_a_past_frame_is_read_by_its_context_tokens_only(toy) -> None:
    """History `context`, one attention layer: a scale is read in its own frame, context where S_t has its frame."""
    visible = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], bool)
    _, layout = visible_packs(toy.with_model(history="context"), visible)
    segment, attend = layout.segments[0], choose(layout, "cpu")
    torch.manual_seed(0)
    q, k, v = torch.randn(3, layout.length, 2, 16)

    def reading(rows: range) -> np.ndarray:
        other_k, other_v = k.clone(), v.clone()
        other_k[rows] += 1
        other_v[rows] -= 1
        before, after = attend(0, q, k, v), attend(0, q, other_k, other_v)
        return np.array(changed_rows(before.flatten(1), after.flatten(1), range(layout.length)))

    for frame in range(3):
        assert np.flatnonzero(reading(segment.frame(frame))).tolist() == list(segment.frame(frame))
        found = reading(segment.context(frame))
        for t in range(4):
            assert set(found[segment.frame(t)]) == {visible[t, frame]}
            assert set(found[segment.context(t)]) <= {visible[t, frame] or t == frame}


def test_the_stack_reaches_exactly_the_closure_of_the_mask(toy) -> None:
    """Through the layers a frame depends on those it can reach over S: fewer would be a lost path, more a leak."""
    rng = np.random.default_rng(1)
    for _ in range(3):
        visible = np.tril(rng.random((6, 6)) < 0.3, -1)
        reach = np.eye(6, dtype=bool)
        for _ in range(toy.config.num_layers):
            reach |= (visible.astype(int) @ reach.astype(int)) > 0
        pack, layout = visible_packs(toy, visible)
        segment, attend, model = layout.segments[0], choose(layout, "cpu"), toy.model()
        with torch.no_grad():
            before = model(pack.inputs, attend)
            for frame in range(6):
                features = pack.inputs.features.clone()
                features[segment.frame(frame)] += 1
                after = model(replace(pack.inputs, features=features), attend)
                found = [any(changed_rows(before, after, segment.frame(t))) for t in range(6)]
                assert found == reach[:, frame].tolist(), (visible, frame)


def test_causal_text_attends_backwards(toy) -> None:
    """`text_attention: causal`: the first text token depends on none of the later ones."""
    toy = replace(toy, text_dropout=0.0)
    for kind, expected in (("full", [True] * 4), ("causal", [False, False, True, True])):
        toy = toy.with_model(text=TextConfig(max_tokens=8, attention=kind))
        model, sample = toy.model(), toy.sample(1, "32x32", 1, 4)
        text = sample.text.copy()
        text[2] = (text[2] + 1) % 257
        pack = toy.pack(sample)
        after = toy.logits(model, toy.pack(replace(sample, text=text)))
        assert changed_rows(toy.logits(model, pack), after, range(4)) == expected


def test_labels_condition_by_one_token(toy) -> None:
    """A class is one learned token; each class gives its own video."""
    toy = replace(toy.with_model(text=TextConfig(kind="label", num_classes=5)), text_dropout=0.0)
    model, sample = toy.model(), toy.sample(1, "48x48", 2, 1)
    logits = [toy.logits(model, toy.pack(replace(sample, text=np.array([label])))) for label in range(5)]
    visual = toy.pack(replace(sample, text=np.array([0]))).layout.segments[0].visual
    assert len(torch.unique(torch.stack(logits)[:, list(visual)], dim=0)) == 5
    assert model.text.tokens.weight.shape == (5, 32)
    assert model.text.null.weight.shape == (1, 32)


def test_dropped_text_is_the_first_rows_of_the_null_table(toy) -> None:
    """The length stays and the rows are the sample's own: sampling's unconditional branch looks up the same ones."""
    toy = replace(toy, text_dropout=1.0)
    model, pack = toy.model(), toy.pack(toy.sample(1, "48x48", 1, 3), toy.sample(2, "48x48", 1, 5))
    text = model.embed(pack.inputs)[pack.inputs.text_rows]
    null = model.text.null.weight
    assert torch.equal(text, torch.cat([null[:3], null[:5]]))


def test_padding_is_zero_all_the_way(toy) -> None:
    """Padding carries no signal, takes no gradient, and its length moves nothing."""
    model, sample = toy.model(), toy.sample(1, "48x48", 2)
    pack, longer = toy.pack(sample), toy.with_stage(tokens_per_pack=512).pack(sample)
    end = pack.layout.segments[0].visual.stop
    seen: list[torch.Tensor] = []
    hooks = [block.register_forward_hook(lambda m, i, out: seen.append(out)) for block in model.blocks]
    logits = model(pack.inputs, choose(pack.layout, "cpu"))
    for out in seen:
        out.retain_grad()
    bitwise_loss(logits, pack)[0].backward()
    for hook in hooks:
        hook.remove()
    for out in seen:
        assert (out[end:] == 0).all()
        assert (out.grad[end:] == 0).all()
        assert (out.grad[pack.layout.segments[0].visual] != 0).any()
    torch.testing.assert_close(toy.logits(model, longer)[:end], logits[:end])


@pytest.mark.parametrize(("rope", "history"), POSITIONS_AND_HISTORIES)
def test_every_parameter_learns(toy, rope: RopeKind, history: HistoryKind) -> None:
    """A parameter without a gradient is dead weight; all are touched by a pack with kept and dropped text."""
    fields = {"rope": rope, "history": history, "max_scales": 4, "max_frames": 2, "max_side": 4}
    toy = replace(toy.with_model(**fields), text_dropout=0.5)
    model = VideoAR(toy.config)
    init_weights(model, 0)
    packs = [toy.pack(toy.sample(n, "64x64", 2, 8), toy.sample(n + 9, "64x64", 2, 8), step=n) for n in range(3)]
    assert 0 < sum(pack.inputs.text_dropped.sum() for pack in packs) < 48
    for pack in packs:
        bitwise_loss(model(pack.inputs, choose(pack.layout, "cpu")), pack)[0].backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


def test_bfloat16_runs_close_to_float32(toy) -> None:
    """Rotation, norms and logits stay float32 inside; the model is the same function to bfloat16's precision."""
    model, pack = toy.model(scale=1.0), toy.pack(toy.sample(1, "64x64", 3))
    logits = toy.logits(model, pack)
    with torch.autocast("cpu", torch.bfloat16):
        cast = toy.logits(model, pack)
    half = toy.logits(model.to(torch.bfloat16), pack)
    for other in (cast, half):
        assert other.dtype == torch.float32
        assert (other - logits).abs().max() < 0.03 * logits.abs().max()


@pytest.mark.parametrize("history", ["scales", "context"])
def test_saved_weights_load_back_equal(toy, history: HistoryKind, tmp_path) -> None:
    """`from_pretrained` is how everybody else meets the model."""
    toy = toy.with_model(rope="learned", history=history)
    model = toy.model()
    model.save_pretrained(tmp_path)
    loaded = VideoAR.from_pretrained(tmp_path)
    assert loaded.config == model.config
    pack = toy.pack(toy.sample(1))
    assert torch.equal(toy.logits(loaded, pack), toy.logits(model, pack))
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_the_residual_stream_has_the_precision_of_the_products(toy) -> None:
    """Under autocast one float32 embedding would make the stream of all layers float32, and twice as large."""
    model, inputs = toy.model(), toy.plain_pack(toy.sample(0)).inputs
    with torch.autocast("cpu", torch.bfloat16):
        assert model.embed(inputs).dtype == torch.bfloat16
    assert model.embed(inputs).dtype == torch.float32
    assert model.bfloat16().embed(inputs).dtype == torch.bfloat16
