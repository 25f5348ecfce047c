"""Cached decoding against the masked full forward, and the drawing of bits."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.operations import Operations
from videoar.cluster.ground.errors import InputError
from videoar.pretrain.batch.frame_mask import window_mask
from videoar.pretrain.batch.pack import model_inputs
from videoar.pretrain.config import ModelConfig, RopeKind, TextConfig
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.generate.sampler import Accumulation, Sampling, sample_bits, sample_frames
from videoar.pretrain.guidance import Guidance, parse_guidance
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.tokenizer import residual
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

from .loud import loud_model

pytestmark = pytest.mark.slow

SCHEDULE = ScaleSchedule("32x48", ((1, 1), (1, 2), (2, 3)))
CONFIG = ModelConfig(num_layers=2, width=24, num_heads=2, latent_dim=8, max_frames=8, max_side=4, max_scales=4)
BYTES = TextConfig(max_tokens=6)
PROMPTS = (np.array([5, 9, 200, 17]), np.array([0]))
"""Of unequal length: positions and masks of the samples of one batch differ."""
UNGUIDED = Sampling(guidance=Guidance.constant(1.0))


def _model(config: ModelConfig = CONFIG) -> VideoAR:
    return loud_model(replace(config, text=replace(config.text, max_tokens=6)))


both_histories = pytest.mark.parametrize("history", ["scales", "context"])


def _bits(batch: int, num_frames: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, num_frames, SCHEDULE.tokens_per_frame, 8, generator=generator) < 0.5


def full_logits(model: VideoAR, text: np.ndarray, bits: Tensor, window: int, *, dropped: bool = False) -> Tensor:
    """One sample by the masked full forward, (t, tokens, k); its inputs are written out from Eq. 6."""
    num_frames = len(bits)
    segment = Segment(SCHEDULE, num_frames, len(text), 0, window_mask(num_frames, window), model.config.history)
    layout = PackLayout((segment,), segment.visual.stop + 3, model.config.text.attention)
    features = torch.zeros(layout.length, 8)
    whole = residual.accumulate(bits, SCHEDULE)
    for frame in range(num_frames):
        for scale, grid in enumerate(SCHEDULE.grids):
            kept = bits[frame : frame + 1]
            sums = [
                residual.up(residual.as_grid(2.0 * kept[:, a:b] - 1.0, coarse) / 8**0.5, SCHEDULE.grid)
                for a, b, coarse in zip(SCHEDULE.offsets, SCHEDULE.offsets[1:], SCHEDULE.grids, strict=False)
            ][:scale]
            if scale:
                feature = residual.down(torch.stack(sums).sum(0), grid, model.config.down)
            elif frame:
                feature = residual.down(whole[frame - 1 : frame], grid, "area")
            else:
                feature = torch.zeros(1, 8, *grid)
            rows = segment.scale(frame, scale)
            features[rows.start : rows.stop] = residual.as_tokens(feature)[0]
        for row, cell in zip(segment.context(frame), whole[frame].flatten(1).T, strict=False):
            features[row] = cell
    inputs = model_inputs(layout, model.config, features, text, np.full(len(text), dropped))
    with torch.no_grad():
        logits = model(inputs, choose(layout, "cpu"))
    return logits[layout.visual_rows(SCHEDULE)].unflatten(0, (num_frames, -1))


@torch.inference_mode()
def cached_logits(
    model: VideoAR,
    bits: Tensor,
    window: int,
    *,
    by_frame: int = 0,
    branches: int = 2,
    negative: tuple[np.ndarray | None, ...] | None = None,
) -> Tensor:
    """(branch, b, t, tokens, k): the first `by_frame` frames in one pass each, the others scale by scale."""
    batch, num_frames = bits.shape[:2]
    decoder = CachedDecoder(
        model, SCHEDULE, PROMPTS[:batch], num_frames=num_frames, window=window, branches=branches, negative=negative
    )
    state, found = Accumulation(model, SCHEDULE, batch), []
    for frame in range(num_frames):
        if frame < by_frame:
            found.append(decoder.frame_logits(state.features_of(bits[:, frame])))
        else:
            scales = bits[:, frame].split(list(SCHEDULE.tokens), dim=1)
            logits = []
            for scale, of_scale in enumerate(scales):
                logits.append(decoder.scale_logits(scale, state.feature(scale)))
                state.add(of_scale, scale)
            found.append(torch.cat(logits, dim=2))
        decoder.advance()
        state.advance()
    return torch.stack(found, dim=2)


@dataclass(frozen=True)
class Case:
    """One setting that the cache must reproduce."""

    num_frames: int = 5
    window: int = 8
    rope: RopeKind = "centre"
    causal: bool = False
    area: bool = False
    history: HistoryKind = "scales"


CASES = (
    Case(),
    Case(num_frames=1),
    Case(num_frames=6, window=2),
    Case(num_frames=4, window=3),
    Case(num_frames=14, window=3),
    Case(num_frames=4, window=1),
    Case(rope="raw"),
    Case(rope="corner", area=True),
    Case(rope="learned", window=2),
    Case(causal=True),
    Case(history="context"),
    Case(num_frames=1, history="context"),
    Case(num_frames=3, window=0, history="context"),
    Case(num_frames=6, window=2, history="context"),
    Case(num_frames=4, window=1, rope="learned", history="context"),
)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_cached_decoding_equals_the_masked_full_forward(case: Case) -> None:
    """A stale slot of the ring, a shifted position or a leak of padding would move some logit of some frame."""
    text = replace(BYTES, attention="causal" if case.causal else "full")
    down = "area" if case.area else "bilinear"
    model = _model(replace(CONFIG, rope=case.rope, down=down, text=text, history=case.history))
    bits = _bits(2, case.num_frames)
    cached = cached_logits(model, bits, case.window)
    for sample in range(2):
        for branch in range(2):
            full = full_logits(model, PROMPTS[sample], bits[sample], case.window, dropped=branch == 1)
            assert full.std() > 0.3, "a flat model would hide an error"
            torch.testing.assert_close(cached[branch, sample], full, atol=1e-4, rtol=0)


@both_histories
@pytest.mark.parametrize("window", [1, 2, 8])
def test_known_frames_in_one_pass_equal_scale_by_scale(window: int, history: HistoryKind) -> None:
    """History prefill must leave the cache as decoding would, or a continuation starts from another past."""
    model, bits = _model(replace(CONFIG, history=history)), _bits(2, 5)
    stepwise = cached_logits(model, bits, window)
    torch.testing.assert_close(cached_logits(model, bits, window, by_frame=3), stepwise, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("history", "given"), [("scales", 3), ("context", 2)])
def test_passes_of_a_video(history: HistoryKind, given: int) -> None:
    """Context tokens ride in the first pass of the next frame, and of given frames nothing else is computed."""
    model = _model(replace(CONFIG, history=history))
    passes: list[int] = []
    hook = model.blocks[0].register_forward_hook(lambda block, inputs, out: passes.append(len(out)))
    _sample(model, num_frames=5, seeds=(0,), sampling=UNGUIDED)
    assert len(passes) == 1 + 5 * SCHEDULE.num_scales, "one of them is the text's"
    passes.clear()
    _sample(model, num_frames=5, seeds=(0,), sampling=UNGUIDED, history=_bits(1, 3))
    hook.remove()
    assert len(passes) == 1 + given + 2 * SCHEDULE.num_scales
    assert set(passes[1 : 1 + given]) == {SCHEDULE.tokens_per_frame if history == "scales" else 6}


def test_memory_does_not_grow_with_the_video() -> None:
    """The ring holds the window and no more, however many frames are asked for."""
    sizes = {
        count: CachedDecoder(_model(), SCHEDULE, PROMPTS, num_frames=count, window=4).cache.size_bytes
        for count in (2, 5, 500)
    }
    assert sizes[2] < sizes[5] == sizes[500]


def _sample(model: VideoAR, *, seeds: tuple[int, ...] = (0, 1), **options: object) -> Tensor:
    """(b, t, tokens, k) of a short video."""
    settings = {"num_frames": 4, "window": 2, "history": None, **options}
    sampling = settings.pop("sampling", Sampling(guidance=parse_guidance("t2v")))
    frames = sample_frames(model, SCHEDULE, PROMPTS[: len(seeds)], sampling, seeds=seeds, **settings)
    return torch.stack([frame.bits for frame in frames], dim=1)


def test_a_seed_fixes_the_video() -> None:
    """Draws come from (seed, frame, scale, token, bit): nothing else may enter."""
    model = _model()
    first = _sample(model)
    assert torch.equal(first, _sample(model))
    assert torch.equal(first[:1], _sample(model, seeds=(0,)))
    other = _sample(model, seeds=(2, 1))
    assert torch.equal(first[1], other[1])
    assert not torch.equal(first[0], other[0])


@both_histories
def test_history_is_kept_and_followed(history: HistoryKind) -> None:
    """Given frames come back bit for bit, and what follows is a function of them."""
    model = _model(replace(CONFIG, history=history))
    history = _bits(2, 2)
    sampled = _sample(model, history=history)
    assert torch.equal(sampled[:, :2], history)
    flipped = history.clone()
    flipped[0] ^= True
    assert not torch.equal(_sample(model, history=flipped)[0, 2:], sampled[0, 2:])
    assert torch.equal(_sample(model, history=flipped)[1], sampled[1])


@both_histories
def test_a_continuation_of_its_own_output_is_that_output(history: HistoryKind) -> None:
    """Frames decoded once and given as history draw the same future: history enters the causal way and no other."""
    model = _model(replace(CONFIG, history=history))
    whole = _sample(model)
    assert torch.equal(_sample(model, history=whole[:, :2]), whole)


def test_a_negative_text_takes_the_place_of_the_null_table() -> None:
    """Its branch has the logits of that text alone, whatever the lengths of the texts next to it."""
    model, bits = _model(), _bits(2, 3)
    for negative in ((PROMPTS[1], PROMPTS[0]), (PROMPTS[1], None)):
        found = cached_logits(model, bits, 2, negative=negative)
        for sample, text in enumerate(negative):
            of_text = PROMPTS[sample] if text is None else text
            full = full_logits(model, of_text, bits[sample], 2, dropped=text is None)
            torch.testing.assert_close(found[1, sample], full, atol=1e-4, rtol=0)
            positive = full_logits(model, PROMPTS[sample], bits[sample], 2)
            torch.testing.assert_close(found[0, sample], positive, atol=1e-4, rtol=0)


def test_gamma_one_is_the_unguided_model() -> None:
    """Without guidance only the conditional branch runs; with gamma 1 in two branches the result is the same."""
    model = _model()
    almost = Guidance(1.0, 1.0, 1.0, 1.0 + 1e-12)
    assert Guidance.constant(1.0).is_off
    assert not almost.is_off
    one, two = (_sample(model, sampling=Sampling(guidance=guidance)) for guidance in (Guidance.constant(1.0), almost))
    assert torch.equal(one, two)
    assert not torch.equal(one, _sample(model, sampling=Sampling(guidance=Guidance.constant(6.0))))


def test_the_latent_is_the_sum_of_the_codes() -> None:
    """The tokenizer decodes what the frame adds up to, the last scale included."""
    sampling = Sampling(guidance=parse_guidance(1.0))
    for frame in sample_frames(_model(), SCHEDULE, PROMPTS, sampling, num_frames=2, window=2, seeds=(0, 1)):
        torch.testing.assert_close(frame.latent, residual.accumulate(frame.bits, SCHEDULE))


def test_bits_follow_their_probabilities() -> None:
    """Frequency = sigmoid(logit / temperature); greedy and the nucleus take the likelier value."""
    logits = torch.tensor([-2.0, -0.2, 0.2, 2.0]).expand(1, 20_000, 4)
    uniform = torch.rand(logits.shape, generator=torch.Generator().manual_seed(0))
    unguided = Guidance.constant(1.0)

    def frequency(temperature: float, top_p: float = 1.0) -> Tensor:
        sampling = Sampling(guidance=unguided, temperature=temperature, top_p=top_p)
        return sample_bits(logits, uniform, sampling).float().mean(dim=1)[0]

    torch.testing.assert_close(frequency(1.0), logits[0, 0].sigmoid(), atol=0.015, rtol=0)
    torch.testing.assert_close(frequency(2.0), (logits[0, 0] / 2).sigmoid(), atol=0.015, rtol=0)
    assert frequency(0.0).tolist() == [0, 0, 1, 1]
    assert frequency(1.0, top_p=0.4).tolist() == [0, 0, 1, 1]
    partly = frequency(1.0, top_p=0.7).tolist()
    assert (partly[0], partly[3]) == (0, 1)
    assert 0.4 < partly[1] < partly[2] < 0.6


def test_what_does_not_fit_is_refused() -> None:
    """Garbage from an embedding out of range would look like a bad model."""
    model = _model(replace(CONFIG, rope="learned"))
    sampling = Sampling(guidance=parse_guidance("t2v"))

    def run(schedule: ScaleSchedule, num_frames: int) -> None:
        next(sample_frames(model, schedule, PROMPTS[:1], sampling, num_frames=num_frames, window=2, seeds=(0,)))

    with pytest.raises(InputError, match=r"model\.max_scales=4: is below the 6"):
        run(ScaleSchedule.named("128x128"), 1)
    with pytest.raises(InputError, match=r"model\.max_frames=8: is below the 9"):
        run(SCHEDULE, 9)
    with pytest.raises(InputError, match=r"model\.max_side=4: is below the 5"):
        run(ScaleSchedule("", ((1, 1), (1, 5))), 1)
    with pytest.raises(InputError, match=r"temperature=-1\.0: is below 0"):
        Sampling(guidance=Guidance.constant(1.0), temperature=-1.0)
    with pytest.raises(InputError, match=r"top_p=0\.0: is not above 0"):
        Sampling(guidance=Guidance.constant(1.0), top_p=0.0)


@both_histories
def test_no_frame_waits_for_the_device_or_costs_more_than_another(history: HistoryKind) -> None:
    """A read in the loop would stop a GPU at every scale, and memory or work that grows would end long videos."""
    model = _model(replace(CONFIG, history=history))
    guided = Sampling(guidance=Guidance.constant(3.0), top_p=0.9)
    frames = sample_frames(model, SCHEDULE, PROMPTS, guided, num_frames=8, window=3, seeds=[1, 2])
    found = []
    for _ in range(8):
        with Operations() as operations:
            next(frames)
        found.append((operations.launches, operations.largest))
        assert operations.reads == 0
    assert len(set(found[4:])) == 1, "once the window is full, frames are alike"
