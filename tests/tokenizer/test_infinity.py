"""The public image tokenizer's key layout, against a forward pass written over its own names."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.infinity import import_infinity
from videoar.tokenizer.inflate import inflate

BASE, WIDTHS, BITS = 32, (32, 64, 128, 128, 128), 16


def public_weights() -> dict[str, Tensor]:
    """Random weights under the names of the released files, at a quarter of their width."""
    generator, found = torch.Generator().manual_seed(0), {}

    def conv(name: str, inside: int, outside: int, side: int = 3) -> None:
        shape = (outside, inside, side, side)
        found[f"{name}.conv.weight"] = torch.randn(shape, generator=generator) / (inside * side * side) ** 0.5
        found[f"{name}.conv.bias"] = 0.1 * torch.randn(outside, generator=generator)

    def norm(name: str, width: int) -> None:
        found[f"{name}.norm.weight"] = 1 + 0.1 * torch.randn(width, generator=generator)
        found[f"{name}.norm.bias"] = 0.1 * torch.randn(width, generator=generator)

    def block(name: str, inside: int, outside: int) -> None:
        norm(f"{name}.norm1", inside), conv(f"{name}.conv1", inside, outside)
        norm(f"{name}.norm2", outside), conv(f"{name}.conv2", outside, outside)
        if inside != outside:
            conv(f"{name}.nin_shortcut", inside, outside, side=1)

    conv("encoder.conv_in", 3, BASE)
    conv("decoder.conv_in", BITS, WIDTHS[-1])
    for level, width in enumerate(WIDTHS):
        for index in range(2):
            block(f"encoder.down.{level}.block.{index}", WIDTHS[max(level - 1, 0)] if index == 0 else width, width)
        for index in range(3):
            block(f"decoder.up.{level}.block.{index}", WIDTHS[min(level + 1, 4)] if index == 0 else width, width)
        if level < 4:
            conv(f"encoder.down.{level}.downsample.conv", width, width)
        if level > 0:
            conv(f"decoder.up.{level}.upsample.conv", width, width)
    for side in ("encoder", "decoder"):
        block(f"{side}.mid.block_1", WIDTHS[-1], WIDTHS[-1]), block(f"{side}.mid.block_2", WIDTHS[-1], WIDTHS[-1])
    norm("encoder.norm_out", WIDTHS[-1]), conv("encoder.conv_out", WIDTHS[-1], BITS)
    norm("decoder.norm_out", BASE), conv("decoder.conv_out", BASE, 3)
    return found


class Public:
    """The released network as it is described: 2-D, by its own names."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights

    def conv(self, name: str, x: Tensor, **options: int) -> Tensor:
        return F.conv2d(x, self.weights[f"{name}.conv.weight"], self.weights[f"{name}.conv.bias"], **options)

    def act(self, name: str, x: Tensor) -> Tensor:
        return F.silu(F.group_norm(x, 32, self.weights[f"{name}.norm.weight"], self.weights[f"{name}.norm.bias"], 1e-6))

    def block(self, name: str, x: Tensor) -> Tensor:
        y = self.conv(f"{name}.conv1", self.act(f"{name}.norm1", x), padding=1)
        y = self.conv(f"{name}.conv2", self.act(f"{name}.norm2", y), padding=1)
        has_shortcut = f"{name}.nin_shortcut.conv.weight" in self.weights
        return y + (self.conv(f"{name}.nin_shortcut", x) if has_shortcut else x)

    def encode(self, image: Tensor) -> Tensor:
        x = self.conv("encoder.conv_in", image, padding=1)
        for level in range(5):
            x = self.block(f"encoder.down.{level}.block.1", self.block(f"encoder.down.{level}.block.0", x))
            if level < 4:
                x = self.conv(f"encoder.down.{level}.downsample.conv", F.pad(x, (0, 1, 0, 1)), stride=2)
        x = self.block("encoder.mid.block_2", self.block("encoder.mid.block_1", x))
        return self.conv("encoder.conv_out", self.act("encoder.norm_out", x), padding=1)

    def decode(self, latent: Tensor) -> Tensor:
        x = self.conv("decoder.conv_in", latent, padding=1)
        x = self.block("decoder.mid.block_2", self.block("decoder.mid.block_1", x))
        for level in reversed(range(5)):
            for index in range(3):
                x = self.block(f"decoder.up.{level}.block.{index}", x)
            if level > 0:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
                x = self.conv(f"decoder.up.{level}.upsample.conv", x, padding=1)
        return self.conv("decoder.conv_out", self.act("decoder.norm_out", x), padding=1).clamp(-1, 1)


class RunsOnLoad:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("public") / "infinity_vae_d16.pth"
    mask = {"quantizer.lfq.mask": torch.arange(BITS)}
    torch.save({"step": 1, "vae": public_weights() | mask}, path)
    return path


def test_imported_and_inflated_tokenizer_is_the_public_network(checkpoint: Path) -> None:
    """A renamed layer in the wrong place loads without complaint where shapes agree; only the output shows it."""
    public, imported = Public(public_weights()), import_infinity(checkpoint)
    assert imported.reinitialised == ()
    image = torch.rand(1, 3, 64, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for tokenizer in (imported.tokenizer, inflate(imported.tokenizer)):
        latent = tokenizer.encode(image[:, :, None])
        torch.testing.assert_close(latent[:, :, 0], public.encode(image), atol=1e-4, rtol=1e-4)
        decoded = tokenizer.decode(latent)[:, :, 0]
        torch.testing.assert_close(decoded, public.decode(latent[:, :, 0]), atol=1e-4, rtol=1e-4)


def test_other_bits_a_token_start_the_latent_layers_anew(checkpoint: Path) -> None:
    """No public file has 48 bits: the import must keep the rest, and say what it could not keep."""
    imported = import_infinity(checkpoint, latent_dim=48)
    assert imported.reinitialised == ("encoder.conv_out", "decoder.conv_in")
    assert imported.tokenizer.config.latent_dim == 48
    kept = imported.tokenizer.encoder.conv_in.weight[:, :, 0]
    torch.testing.assert_close(kept, public_weights()["encoder.conv_in.conv.weight"])


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    """Another network, no network, or a pickle that would run code: one line each, and nothing is executed."""
    weights = public_weights()
    del weights["decoder.up.3.block.2.conv1.conv.bias"]
    torch.save({"vae": weights}, tmp_path / "partial.pth")
    with pytest.raises(InputError, match="another network"):
        import_infinity(tmp_path / "partial.pth")
    torch.save({"model": {}}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="holds no encoder"):
        import_infinity(tmp_path / "other.pth")
    canary = tmp_path / "canary"
    (tmp_path / "code.pth").write_bytes(pickle.dumps(RunsOnLoad(canary), protocol=2))
    with pytest.raises(InputError, match="cannot be read"):
        import_infinity(tmp_path / "code.pth")
    assert not canary.exists()
