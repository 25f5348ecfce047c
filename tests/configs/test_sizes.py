"""Sizes: counted without allocating, compared with what the paper prints."""

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.configs.sizes import PUBLISHED_PARAMETERS, SIZES, parameter_count, parameter_summary, size
from videoar.pretrain.model import VideoAR


@pytest.mark.parametrize(("name", "millions"), [("l", 907), ("xl", 2149), ("4b", 3777), ("4b-hd128", 3777)])
def test_counts(name: str, millions: int) -> None:
    """16 d^2 a layer plus tables; a bias or a wrong hidden width would show, and so would another paper's model."""
    config = size(name)
    count = parameter_count(config)
    assert round(count / 1e6) == millions
    layers = config.num_layers * (16 * config.width**2 + 2 * config.width + 2 * config.head_dim)
    assert count - layers == config.width * (2 * 48 + 1 + 1 + 16 + 257 + 256)
    if name in PUBLISHED_PARAMETERS:
        assert abs(count / PUBLISHED_PARAMETERS[name] - 1) < 0.08
        assert f"{count / 1e6:,.1f}M parameters (VideoAR-{name.upper()}; the paper" in parameter_summary(config)


def test_heads_of_the_sizes() -> None:
    """Kernels pad heads of 80: the second 4B exists for its 128."""
    assert {name: config.head_dim for name, config in SIZES.items() if name != "tiny"} == {
        "l": 128,
        "xl": 128,
        "4b": 80,
        "4b-hd128": 128,
    }


def test_the_count_is_that_of_a_real_model() -> None:
    """The meta device must see the same parameters."""
    model = VideoAR(size("tiny"))
    assert parameter_count(size("tiny")) == sum(parameter.numel() for parameter in model.parameters())
    assert next(model.parameters()).device == torch.device("cpu")


def test_an_unknown_size_names_its_neighbour() -> None:
    """A typo must not train another model."""
    with pytest.raises(InputError, match="4b-hd128"):
        size("4b-hd12")
