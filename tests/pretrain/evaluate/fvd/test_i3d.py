"""I3D: parameters, names, shapes and padding of the published network, and a block against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videoar.pretrain.evaluate.fvd.i3d import I3d, InceptionBlock, Widths, pad_same, same_max_pool


@pytest.fixture(scope="module")
def shapes() -> I3d:
    """The network without memory: shapes are computed, values are not."""
    with torch.device("meta"):
        return I3d().eval()


def test_parameters_are_those_of_the_published_network(shapes: I3d) -> None:
    """Counted by hand from the paper's Figure 3 and Inception-v1's table: a wrong width would load no weights."""
    stem = 64 * 3 * 343 + 64 * 64 + 192 * 64 * 27
    rows = [  # input; 1x1, 3x3 reduced, 3x3, second reduced, second, pooled
        (192, 64, 96, 128, 16, 32, 32),
        (256, 128, 128, 192, 32, 96, 64),
        (480, 192, 96, 208, 16, 48, 64),
        (512, 160, 112, 224, 24, 64, 64),
        (512, 128, 128, 256, 24, 64, 64),
        (512, 112, 144, 288, 32, 64, 64),
        (528, 256, 160, 320, 32, 128, 128),
        (832, 256, 160, 320, 32, 128, 128),
        (832, 384, 192, 384, 48, 128, 128),
    ]
    convolutions = stem + sum(i * (a + b + d + f) + 27 * (b * c + d * e) for i, a, b, c, d, e, f in rows)
    normalised = 64 + 64 + 192 + sum(sum(row[1:]) for row in rows)
    expected = convolutions + 2 * normalised + 1024 * 400 + 400
    assert sum(value.numel() for value in shapes.parameters()) == expected == 12_697_264


def test_names_are_those_of_the_shared_state_dict(shapes: I3d) -> None:
    """The names in i3d_pretrained_400.pt: one weight, four of batch normalisation (and a counter) in each unit."""
    names = set(shapes.state_dict())
    blocks = [f"Mixed_{number}" for number in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")]
    units = ["Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3"]
    units += [f"{block}.{branch}" for block in blocks for branch in ("b0", "b1a", "b1b", "b2a", "b2b", "b3b")]
    ends = ["conv3d.weight", *(f"bn.{name}" for name in ("weight", "bias", "running_mean", "running_var"))]
    expected = {f"{unit}.{end}" for unit in units for end in (*ends, "bn.num_batches_tracked")}
    assert names == expected | {"logits.conv3d.weight", "logits.conv3d.bias"}
    assert shapes.state_dict()["Conv3d_1a_7x7.conv3d.weight"].shape == (64, 3, 7, 7, 7)
    assert shapes.state_dict()["logits.conv3d.weight"].shape == (400, 1024, 1, 1, 1)


@pytest.mark.parametrize(("frames", "left"), [(9, 2), (16, 2), (17, 3), (64, 8)])
def test_time_is_reduced_eight_times_rounded_up(shapes: I3d, frames: int, left: int) -> None:
    """17 frames leave three places in time; without the rounding up they would leave two."""
    video = torch.zeros(2, 3, frames, 224, 224, device="meta")
    assert shapes.last_block(video).shape == (2, 1024, left, 7, 7)
    assert shapes(video).shape == (2, 400)


def test_padding_is_tensorflows_same() -> None:
    """An even size under stride 2 has two zeros before and three after; PyTorch's padding=3 has three on both sides."""
    kernel, stride = (7, 7, 7), (2, 2, 2)
    padded = pad_same(torch.ones(1, 1, 16, 17, 224), kernel, stride)
    assert padded.shape == (1, 1, 16 + 5, 17 + 6, 224 + 5)
    along = [padded.sum((0, 1, *others)) > 0 for others in ((3, 4), (2, 4), (2, 3))]
    assert [int(line.int().argmax()) for line in along] == [2, 3, 2]
    assert [int(line.flip(0).int().argmax()) for line in along] == [3, 3, 3]
    line = torch.arange(1.0, 6.0).view(1, 1, 5, 1, 1)
    assert same_max_pool(line, (2, 1, 1), (2, 1, 1)).flatten().tolist() == [2, 4, 5]


def slow_unit(unit: torch.nn.Module, x: np.ndarray, kernel: int) -> np.ndarray:
    """Convolution by loops over places, normalisation by its formula, ReLU; in float64."""
    state = {name: value.double().numpy() for name, value in unit.state_dict().items()}
    weight = state["conv3d.weight"]
    pad = (kernel - 1) // 2
    padded = np.pad(x, [(0, 0), *[(pad, pad)] * 3])
    found = np.zeros((len(weight), *x.shape[1:]))
    for place in np.ndindex(*x.shape[1:]):
        window = padded[(slice(None), *(slice(p, p + kernel) for p in place))]
        found[(slice(None), *place)] = np.tensordot(weight, window, axes=4)
    scale = state["bn.weight"] / np.sqrt(state["bn.running_var"] + 1e-5)
    shift = state["bn.bias"] - state["bn.running_mean"] * scale
    return np.maximum(found * scale[:, None, None, None] + shift[:, None, None, None], 0)


def test_a_block_equals_loops() -> None:
    """Branches, their order in the output, pooling and normalisation, without one function of PyTorch."""
    torch.manual_seed(0)
    block = InceptionBlock(3, Widths(2, 3, 4, 2, 3, 2)).eval()
    for name, value in block.state_dict().items():
        if "bn." in name and "num" not in name:
            value.copy_(torch.rand_like(value) + 0.5)
    x = torch.rand(1, 3, 3, 4, 5)
    y = x[0].double().numpy()
    padded = np.pad(y, [(0, 0), *[(1, 1)] * 3])
    pooled = np.zeros_like(y)
    for place in np.ndindex(*y.shape[1:]):
        pooled[(slice(None), *place)] = padded[(slice(None), *(slice(p, p + 3) for p in place))].max((1, 2, 3))
    expected = [
        slow_unit(block.b0, y, 1),
        slow_unit(block.b1b, slow_unit(block.b1a, y, 1), 3),
        slow_unit(block.b2b, slow_unit(block.b2a, y, 1), 3),
        slow_unit(block.b3b, pooled, 1),
    ]
    with torch.inference_mode():
        np.testing.assert_allclose(block(x)[0].numpy(), np.concatenate(expected), rtol=1e-4, atol=1e-5)
