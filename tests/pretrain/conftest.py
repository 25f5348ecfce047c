"""Small samples, packs and models for the tests of the generator."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from videoar.configs.debug import recipe as debug_recipe
from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry, StoredLatent
from videoar.pretrain.batch.pack import Pack, plain_pack, training_pack
from videoar.pretrain.config import (
    CorrectionConfig,
    MixturePart,
    ModelConfig,
    Recipe,
    RopeKind,
    StageConfig,
    TextConfig,
)
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.attention import choose
from videoar.tokenizer.residual import quantize_residual
from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True)
class Toy:
    """A model of three layers and what feeds it."""

    config: ModelConfig
    stage: StageConfig
    correction: CorrectionConfig
    text_dropout: float = 0.3

    def with_model(self, **fields: object) -> Toy:
        return replace(self, config=replace(self.config, **fields))

    def with_rope(self, rope: RopeKind) -> Toy:
        return self.with_model(rope=rope)

    def with_stage(self, **fields: object) -> Toy:
        return replace(self, stage=replace(self.stage, **fields))

    def with_correction(self, **fields: object) -> Toy:
        return replace(self, correction=replace(self.correction, **fields))

    def sample(self, number: int, schedule: str = "48x48", num_frames: int = 3, num_text: int = 3) -> Sample:
        """A sample of random latents; everything about it is a function of its number."""
        generator = torch.Generator().manual_seed(number)
        grid = ScaleSchedule.named(schedule).grid
        latent = torch.randn(num_frames, self.config.latent_dim, *grid, generator=generator)
        entry = SampleEntry(
            key=str(number),
            sample_id=number * 7919 + 5,
            dataset="d",
            schedule=schedule,
            num_frames=num_frames,
            caption="",
            label=None,
            shard="",
            offset=0,
            size_bytes=0,
        )
        bits = quantize_residual(latent, ScaleSchedule.named(schedule))
        text = np.random.default_rng(number).integers(0, 257, num_text)
        return Sample(entry, PackedBits.of(bits.numpy()), StoredLatent(latent.numpy()), text)

    def recipe(self, seed: int = 0) -> Recipe:
        """The debug recipe with this model, correction and text dropout."""
        base = debug_recipe()
        tokenizer = replace(base.data.tokenizer, latent_dim=self.config.latent_dim)
        return replace(
            base,
            model=self.config,
            data=replace(base.data, tokenizer=tokenizer),
            correction=self.correction,
            text_dropout=self.text_dropout,
            seed=seed,
        )

    def pack(self, *samples: Sample, seed: int = 0, step: int = 0) -> Pack:
        """The samples as a step trains on them."""
        return training_pack(samples, self.recipe(seed), self.stage, step)

    def plain_pack(self, *samples: Sample) -> Pack:
        """The samples as they are evaluated, with nothing random."""
        stage = self.stage
        return plain_pack(samples, self.config, tokens_per_pack=stage.tokens_per_pack, window=stage.window)

    def model(self, scale: float = 10.0) -> VideoAR:
        """A model whose weights are large enough for every dependency to show in the logits."""
        model = VideoAR(self.config)
        init_weights(model, 0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(scale if parameter.dim() == 2 else 1.0)
        return model

    @torch.no_grad()
    def logits(self, model: VideoAR, pack: Pack) -> Tensor:
        return model(pack.inputs, choose(pack.layout, "cpu"))


@pytest.fixture
def toy() -> Toy:
    return Toy(
        config=ModelConfig(num_layers=3, width=32, num_heads=2, latent_dim=8, text=TextConfig(max_tokens=8)),
        stage=StageConfig(
            name="toy", mixture=(MixturePart(dataset="d"),), steps=1, tokens_per_pack=256, batch=1, p_mask=0.3
        ),
        correction=CorrectionConfig(),
    )
