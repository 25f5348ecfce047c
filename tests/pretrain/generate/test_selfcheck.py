"""Training and sampling meet: what is trained by packs is what decodes, one scale after the other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry
from videoar.pretrain.batch.pack import Pack, plain_pack
from videoar.pretrain.config import MixturePart, ModelConfig, StageConfig, TextConfig
from videoar.pretrain.engine.loss import bitwise_loss
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.generate.sampler import Accumulation, Sampling, sample_frames
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.attention import choose
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

SCHEDULE = ScaleSchedule.named("48x48")
MODEL = ModelConfig(num_layers=2, width=48, num_heads=4, latent_dim=8, text=TextConfig(max_tokens=8))
STAGE = StageConfig(
    name="one", mixture=(MixturePart(dataset="clips"),), steps=1, tokens_per_pack=256, batch=1, window=2
)
TEXT = (np.array([3, 1, 4]), np.array([7]))


def _samples() -> tuple[Sample, ...]:
    generator = np.random.default_rng(0)
    bits = generator.random((2, 4, SCHEDULE.tokens_per_frame, 8)) < 0.5
    entries = [SampleEntry(str(i), i, "clips", SCHEDULE.name, 4, "", None, "", 0, 0) for i in range(2)]
    return tuple(Sample(entry, PackedBits.of(bits[i]), None, TEXT[i]) for i, entry in enumerate(entries))


def _pack(config: ModelConfig) -> Pack:
    return plain_pack(_samples(), config, tokens_per_pack=STAGE.tokens_per_pack, window=STAGE.window)


def _train(steps: int, history: HistoryKind) -> VideoAR:
    """A model that has seen nothing but the two samples."""
    model = VideoAR(replace(MODEL, history=history))
    pack = _pack(model.config)
    init_weights(model, 0)
    attend = choose(pack.layout, "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
    for _ in range(steps):
        loss, _ = bitwise_loss(model(pack.inputs, attend), pack)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def _stored() -> Tensor:
    return torch.from_numpy(np.stack([sample.bits for sample in _samples()]))


@pytest.mark.parametrize("history", ["scales", "context"])
def test_cached_decoding_equals_the_forward_of_training(history: HistoryKind) -> None:
    """The trainer's own pack of two samples, inputs and mask included, against decoding the two as a batch."""
    model, bits = _train(3, history), _stored()
    pack = _pack(model.config)
    logits = model(pack.inputs, choose(pack.layout, "cpu")).detach()
    trained = logits[pack.inputs.scale >= 0].view(2, 4, -1, 8)
    _check_decoding(model, bits, trained)


@torch.inference_mode()
def _check_decoding(model: VideoAR, bits: Tensor, trained: Tensor) -> None:
    decoder = CachedDecoder(model, SCHEDULE, TEXT, num_frames=4, window=2)
    state = Accumulation(model, SCHEDULE, 2)
    for frame in range(4):
        for scale, of_scale in enumerate(bits[:, frame].split(list(SCHEDULE.tokens), dim=1)):
            found = decoder.scale_logits(scale, state.feature(scale))[0]
            rows = slice(*SCHEDULE.offsets[scale : scale + 2])
            torch.testing.assert_close(found, trained[:, frame, rows], atol=1e-4, rtol=0)
            state.add(of_scale, scale)
        decoder.advance()
        state.advance()


@pytest.mark.slow
@pytest.mark.drill  # `videoar selfcheck`, whose tests are not drills, asks the same of an export
def test_free_running_generation_reproduces_what_was_overfitted() -> None:
    """If sampling fed the model anything but what it was trained on, the first error would derail every later bit."""
    sampling = Sampling(guidance=Guidance.constant(1.0), temperature=0.0)
    frames = sample_frames(_train(300, "scales"), SCHEDULE, TEXT, sampling, num_frames=4, window=2, seeds=(0, 1))
    assert torch.equal(torch.stack([frame.bits for frame in frames], dim=1), _stored())
