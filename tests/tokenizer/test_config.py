from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.config import ClipBucket, TokenizerConfig, TokenizerTrainConfig

BUCKET = ClipBucket(schedule="32x32", num_frames=5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latent_dim": 12}, "tokenizer.latent_dim=12: is not a multiple of 8; use 16"),
        ({"latent_dim": 0}, "tokenizer.latent_dim=0: is not a multiple of 8; use 8"),
        ({"norm_groups": 0}, "tokenizer.norm_groups=0: is below 1"),
        ({"norm_groups": 48}, "tokenizer.norm_groups=48: does not divide the 128 channels"),
        ({"multipliers": (1, 2)}, "tokenizer.multipliers=(1, 2): does not give the spatial stride"),
    ],
)
def test_a_network_that_cannot_be_built_names_its_field(fields: dict[str, object], message: str) -> None:
    """A shape error inside a layer does not say which line of the recipe to change."""
    with pytest.raises(InputError) as caught:
        TokenizerConfig(**fields)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fps": 0.0}, "bucket.fps=0.0: is not above 0"),
        ({"fps": float("nan")}, "bucket.fps=nan: is not above 0"),
        ({"fps": 241.0}, "bucket.fps=241.0: is not between 0 and 240"),
        ({"num_frames": 0}, "bucket.num_frames=0: is below 1"),
    ],
)
def test_a_bad_number_of_a_bucket_names_its_field(fields: dict[str, object], message: str) -> None:
    """One field is wrong; a message about a pair leaves a person to guess which."""
    with pytest.raises(InputError) as caught:
        ClipBucket(**{"schedule": "32x32", "num_frames": 5, **fields})  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("field", ["steps", "batch_size", "log_every", "save_every"])
def test_a_training_of_nothing_is_refused(field: str) -> None:
    """log_every 0 would end in a division by zero after the first step, other zeros in an untrained tokenizer."""
    numbers = {"steps": 1, "batch_size": 1, "log_every": 1, "save_every": 1, field: 0}
    with pytest.raises(InputError, match=rf"^train\.{field}=0: is below 1"):
        TokenizerTrainConfig(buckets=(BUCKET,), **numbers)
