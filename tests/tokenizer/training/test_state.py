"""How a run begins."""

from __future__ import annotations

import torch

from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket
from videoar.tokenizer.training.state import start

CLIPS = (TrainingBucket(schedule="32x32", num_frames=5),)


def _begun(initial: str, seed: int = 0) -> torch.nn.Module:
    config = TokenizerTrainConfig(buckets=CLIPS, steps=1, batch_size=1, seed=seed, initial=initial)  # type: ignore[arg-type]
    return start(preset_config("small"), config, "cpu").tokenizer


@torch.no_grad()
def test_residual_weights_keep_the_variance_and_begin_as_the_identity() -> None:
    """PyTorch's own weights shrink what passes, by a factor of three in each convolution."""
    block = _begun("residual").encoder.levels[2].blocks[1]
    x = torch.randn(2, 128, 9, 16, 16)
    assert torch.equal(block(x), x)
    inside = block.conv1(x)[:, :, 2:, 1:-1, 1:-1]  # away from the zeros of the padding
    assert 0.9 < inside.var().item() < 1.1
    shrunk = _begun("pytorch").encoder.levels[2].blocks[1].conv1(x)[:, :, 2:, 1:-1, 1:-1]
    assert shrunk.var().item() < 0.5


def test_initial_weights_are_a_function_of_the_seed() -> None:
    """All processes of a run must begin with the same weights."""
    first, again, other = (
        torch.cat([weight.flatten() for weight in _begun("residual", seed).parameters()]) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
