from __future__ import annotations

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.presets import PRESETS, preset_config


@pytest.mark.parametrize(
    ("name", "millions"),
    [("paper-2d", 110), ("paper", 330), ("paper-light", 167), ("infinity-d32", 110), ("small", 21), ("tiny", 1)],
)
def test_parameter_counts(name: str, millions: int) -> None:
    """Another count is another network than the public image tokenizer, and its weights would not load."""
    with torch.device("meta"):
        tokenizer = VideoTokenizer(PRESETS[name])
    assert round(sum(parameter.numel() for parameter in tokenizer.parameters()) / 1e6) == millions


def test_another_number_of_bits_changes_nothing_else() -> None:
    """Debug and bench recipes ask for 16 bits: the rest of the preset must stay what its name says."""
    assert preset_config("tiny", 16).latent_dim == 16
    assert preset_config("tiny", PRESETS["tiny"].latent_dim) == preset_config("tiny") == PRESETS["tiny"]
    with pytest.raises(InputError, match=r"tokenizer\.preset=pape: is not a preset; did you mean paper"):
        preset_config("pape")
