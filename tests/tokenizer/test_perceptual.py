"""LPIPS against its formula, and the files that its weights come from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.perceptual import Perceptual

from .videos import video

STAGES = (((0, 64), (2, 64)), ((5, 128), (7, 128)), ((10, 256), (12, 256), (14, 256)),
          ((17, 512), (19, 512), (21, 512)), ((24, 512), (26, 512), (28, 512)))  # fmt: skip
"""VGG16 configuration D (Simonyan and Zisserman 2015): numbers in torchvision's list, and widths."""


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Random weights by the names of the two files that people have."""
    generator, found, ins = torch.Generator().manual_seed(0), {}, 3
    for stage, convolutions in enumerate(STAGES):
        for number, width in convolutions:
            weight = torch.randn(width, ins, 3, 3, generator=generator) * (2 / (9 * ins)) ** 0.5
            found[f"features.{number}.weight"], ins = weight, width
            found[f"features.{number}.bias"] = torch.randn(width, generator=generator) * 0.1
        found[f"lin{stage}.model.1.weight"] = torch.rand(1, ins, 1, 1, generator=generator)
    return found


def lpips(state: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The published function for two images, written down step by step."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x, y = ((image - shift[:, None, None]) / scale[:, None, None] for image in (x, y))
    total = torch.zeros(())
    for stage, convolutions in enumerate(STAGES):
        if stage:
            x, y = (F.max_pool2d(image, 2, 2) for image in (x, y))
        for number, _ in convolutions:
            weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
            x, y = (F.conv2d(image[None], weight, bias, padding=1).relu()[0] for image in (x, y))
        units = [image / (image.square().sum(dim=0).sqrt() + 1e-10) for image in (x, y)]
        head = state[f"lin{stage}.model.1.weight"].flatten()
        total = total + ((units[0] - units[1]).square() * head[:, None, None]).sum(dim=0).mean()
    return total


@pytest.mark.slow
def test_it_is_lpips_and_its_gradient_is_finite(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """Another shift, a lost stage or a mean over channels would rank reconstructions in another order."""
    vgg = {name: value for name, value in state.items() if name.startswith("features")}
    heads = {name: value for name, value in state.items() if name.startswith("lin")}
    torch.save({**vgg, "classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "vgg16.pth")
    save_file(heads, tmp_path / "lpips.safetensors")
    distance = Perceptual.from_files([tmp_path / "vgg16.pth", str(tmp_path / "lpips.safetensors")])
    x, y = video(2, 32, 32, b=2), video(2, 32, 32, b=2, seed=1).requires_grad_()
    found = distance(x, y)
    frames = [[lpips(state, x[clip, :, frame], y[clip, :, frame]) for frame in range(2)] for clip in range(2)]
    torch.testing.assert_close(found, torch.tensor([[f.item() for f in clip] for clip in frames]).mean(dim=1))
    found.sum().backward()
    assert y.grad is not None
    assert y.grad.abs().max() > 0
    same = torch.zeros_like(x, requires_grad=True)  # features that are zero everywhere have no direction
    distance(same, same).sum().backward()
    assert same.grad is not None
    assert torch.isfinite(same.grad).all()
    assert not any(weight.requires_grad for weight in distance.parameters())


@pytest.mark.slow
def test_differences_are_float32_under_autocast(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """A loss is float32, whatever the networks are; close frames came out nearly four times as far apart."""
    save_file(state, tmp_path / "all.safetensors")
    network = Perceptual.from_files([tmp_path / "all.safetensors"])
    clip = video(1, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(clip, clip + 0.05 * video(1, 64, 64, seed=1))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, network(clip, clip + 0.05 * video(1, 64, 64, seed=1)), rtol=0.1, atol=0)


@pytest.mark.slow
def test_files_that_are_not_the_weights_are_one_line(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    """Weights that are half random would be a loss like any other, only a wrong one."""
    cases = {
        "lacks lin4.model.1.weight and 0 others": {name: value for name, value in state.items() if name[:4] != "lin4"},
        "has fc.weight, which is not part of LPIPS": {**state, "fc.weight": torch.zeros(1)},
        r"has features.0.bias of shape \(63,\), not \(64,\)": {**state, "features.0.bias": torch.zeros(63)},
        "is not a table of tensors": {"model": {"features.0.bias": torch.zeros(1)}},
    }
    path = tmp_path / "weights.pth"
    for problem, content in cases.items():
        torch.save(content, path)
        with pytest.raises(InputError, match=f"perceptual_weights=.*{problem}"):
            Perceptual.from_files([path])
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot be read"):
        Perceptual.from_files([path])
    with pytest.raises(InputError, match="is not a file"):
        Perceptual.from_files([tmp_path / "absent.pth"])
