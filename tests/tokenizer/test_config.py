from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.config import ClipBucket, TokenizerConfig


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latent_dim": 12}, "TokenizerConfig.latent_dim=12: is not a multiple of 8; use 8 or 16"),
        ({"norm_groups": 48}, "TokenizerConfig.norm_groups=48: does not divide the 128 channels"),
        ({"multipliers": (1, 2)}, "TokenizerConfig.multipliers=(1, 2): does not give the spatial stride"),
    ],
)
def test_a_network_that_cannot_be_built_names_its_field(fields: dict[str, object], message: str) -> None:
    """A shape error inside a layer does not say which line of the recipe to change."""
    with pytest.raises(InputError) as caught:
        TokenizerConfig(**fields)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_a_bucket_has_a_size_of_the_table() -> None:
    """Found later, after the plan or the model was made, the name would not be in the message."""
    with pytest.raises(InputError, match=r"^schedule=33x33: is not in the table"):
        ClipBucket(schedule="33x33", num_frames=5)
