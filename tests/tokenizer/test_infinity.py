"""The import of the public image tokenizer, against a forward pass written over its own names."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.infinity import import_infinity
from videoar.tokenizer.video_tokenizer import VideoTokenizer

from ..public_tokenizer import BASE, BITS, Public, public_weights


class RunsOnLoad:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("public") / "infinity_vae_d16.pth"
    others = {"quantizer.lfq.mask": torch.arange(BITS), "perceptual_model.lin0": torch.zeros(2)}
    torch.save({"step": 1, "opt_vae": {"state": {}}, "vae": public_weights() | others}, path)
    return path


@pytest.fixture(scope="module")
def public() -> Public:
    return Public(public_weights())


@torch.no_grad()
def assert_equal_on_images(tokenizer: VideoTokenizer, public: Public) -> None:
    image = torch.rand(1, 3, 1, 32, 48, generator=torch.Generator().manual_seed(4)) * 2 - 1
    latent = public.encode(image[:, :, 0])
    torch.testing.assert_close(tokenizer.encode(image)[:, :, 0], latent, atol=1e-4, rtol=1e-4)
    decoded = public.decode(latent)
    torch.testing.assert_close(tokenizer.decode(latent[:, :, None])[:, :, 0], decoded, atol=1e-4, rtol=1e-4)


def test_the_imported_image_tokenizer_is_the_public_network(checkpoint: Path, public: Public) -> None:
    """A renamed layer in the wrong place loads without complaint where shapes agree; only the output shows it."""
    imported = import_infinity(checkpoint, temporal_kernel=1)
    assert imported.inflated == 0
    assert_equal_on_images(imported.tokenizer, public)


@pytest.mark.parametrize(("layers", "inflated"), [("all", 70), ("resampling", 12)])
def test_the_inflated_tokenizer_is_the_public_network_on_images(
    layers: Literal["all", "resampling"], inflated: int, checkpoint: Path, public: Public
) -> None:
    """Encoder and decoder, whatever the other temporal slices hold: they must meet zeros only."""
    imported = import_infinity(checkpoint, temporal_layers=layers)
    assert imported.inflated == inflated
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in imported.tokenizer.parameters():
            if value.ndim == 5:
                value[:, :, :-1].normal_(generator=generator)
    assert_equal_on_images(imported.tokenizer, public)


def test_everything_in_the_file_is_accounted_for(checkpoint: Path) -> None:
    """What is silently left out, such as the weights under another name, is noticed after weeks of training."""
    imported = import_infinity(checkpoint, temporal_kernel=1)
    weights = public_weights().values()
    assert (imported.key, imported.loaded, imported.reinitialised) == ("vae", len(weights), ())
    assert imported.loaded_parameters == sum(value.numel() for value in weights)
    assert imported.ignored == {"quantizer": 1, "perceptual_model": 1, "step": 1, "opt_vae": 1}


def test_other_bits_a_token_start_the_latent_layers_anew(checkpoint: Path) -> None:
    """No public file has 48 bits: the import must keep the rest, and say what it could not keep."""
    imported = import_infinity(checkpoint, latent_dim=48)
    assert imported.reinitialised == ("encoder.conv_out", "decoder.conv_in")
    assert imported.loaded == len(public_weights()) - 4
    assert imported.tokenizer.config.latent_dim == 48
    kept = imported.tokenizer.encoder.conv_in.weight[:, :, -1]
    torch.testing.assert_close(kept, public_weights()["encoder.conv_in.conv.weight"])


@pytest.mark.parametrize("content", ["vae and ema", "ema", "bare"])
def test_where_a_file_keeps_the_network(content: str, tmp_path: Path) -> None:
    """Releases have it under `vae` or `ema`; training dumps have both, with the optimizer next to them."""
    weights, other = public_weights(), {"encoder.conv_in.conv.weight": torch.zeros(1)}
    found = {"vae and ema": {"vae": weights, "ema": other}, "ema": {"ema": weights}, "bare": weights}
    torch.save(found[content], tmp_path / "x.pth")
    imported = import_infinity(tmp_path / "x.pth", temporal_kernel=1)
    assert imported.key == {"vae and ema": "vae", "ema": "ema", "bare": ""}[content]
    assert imported.ignored == ({"ema": 1} if content == "vae and ema" else {})


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    """The public weights with some replaced, added or (None) removed; `__` in a keyword is a dot in the name."""
    values = public_weights() | {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in values.items() if value is not None}


def patches() -> dict[str, Tensor]:
    """The network of Infinity-8B has one resolution less."""
    return {name: value for name, value in public_weights().items() if ".4." not in name}


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "a tensor is missing": (
        lambda: {"vae": changed(decoder__up__3__block__2__conv1__conv__bias=None)},
        "lacks 1 tensors of the network, such as decoder.levels.3.blocks.2.conv1.bias",
    ),
    "a tensor is new": (
        lambda: {"vae": changed(encoder__mid__attn_1__q__weight=torch.zeros(2))},
        "has 1 tensors too many, such as encoder.mid.attn_1.q.weight",
    ),
    "another shape": (
        lambda: {"vae": changed(encoder__conv_in__conv__bias=torch.zeros(1, BASE))},
        "has encoder.conv_in.bias of shape (1, 32) instead of (32,)",
    ),
    "8B": (lambda: {"vae": patches()}, "has four resolutions, like the patch tokenizer of Infinity-8B"),
    "odd bits": (
        lambda: {"vae": changed(encoder__conv_out__conv__weight=torch.zeros(9, 128, 3, 3))},
        "does not describe such a network (TokenizerConfig.latent_dim=9: is not a multiple of 8",
    ),
    "NaN": (
        lambda: {"ema": changed(encoder__conv_in__conv__bias=torch.full((BASE,), torch.nan))},
        "has values in encoder.conv_in.conv.bias that are not finite; download it again",
    ),
    "no numbers": (
        lambda: {"vae": changed(encoder__conv_in__conv__bias=torch.zeros(BASE, dtype=torch.long))},
        "has no plain floating-point numbers in encoder.conv_in.conv.bias",
    ),
    "no data": (
        lambda: {"vae": changed(encoder__conv_in__conv__bias=torch.zeros(BASE, device="meta"))},
        "has no plain floating-point numbers in encoder.conv_in.conv.bias",
    ),
    "eight bits": (
        lambda: {"vae": changed(encoder__conv_in__conv__bias=torch.zeros(BASE).to(torch.float8_e4m3fn))},
        "has no plain floating-point numbers in encoder.conv_in.conv.bias",
    ),
    "larger than the file": (
        lambda: {"vae": {"encoder.x": torch.zeros(1).expand(10**9), "decoder.x": torch.zeros(1)}},
        "is shorter than the tensors that it describes; download it again",
    ),
    "no decoder": (lambda: {"vae": {"encoder.x": torch.zeros(1)}}, "holds no decoder; give infinity_vae_d16.pth"),
    "another model": (lambda: {"model": {}}, "holds no encoder; give infinity_vae_d16.pth"),
    "no dictionary": (lambda: torch.zeros(1), "holds a Tensor; give infinity_vae_d16.pth"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_named(case: str, tmp_path: Path) -> None:
    """Files are large downloads with similar names: what is wrong must be in the message, not in a trace."""
    content, message = WRONG[case]
    torch.save(content(), tmp_path / "x.pth")
    with pytest.raises(InputError) as caught:
        import_infinity(tmp_path / "x.pth")
    assert str(caught.value).startswith(f"FILE={tmp_path / 'x.pth'}: {message}")


def test_a_damaged_file_is_named(checkpoint: Path, tmp_path: Path) -> None:
    """Half of a download, and bytes of any other kind; torch's own errors for them are of ten types."""
    whole = checkpoint.read_bytes()
    path = tmp_path / "x.pth"
    for content in (whole[: len(whole) // 2], b"PK" + whole[-5000:], b"\x80\x02.", b"\x80\x02hello"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"x\.pth: cannot be read \(.*[^.]\); download it again"):
            import_infinity(path)
    other = r"x\.pth: cannot be read \(it is not a PyTorch file, or is damaged\); give infinity_vae_d16\.pth"
    film = b"\0\0\0\x20ftypisom" + b"\1" * 100
    for content in (whole[-5000:], b"", b"<html>404</html>", b"version https://git-lfs", film):
        path.write_bytes(content)
        with pytest.raises(InputError, match=other):
            import_infinity(path)


def test_a_path_without_a_file_is_no_damage(tmp_path: Path) -> None:
    """To download again what was misspelt helps nobody."""
    with pytest.raises(InputError, match=r"no\.pth: does not exist; give infinity_vae_d16\.pth"):
        import_infinity(tmp_path / "no.pth")
    with pytest.raises(InputError, match="is a folder; give"):
        import_infinity(tmp_path)


def test_code_in_a_file_does_not_run(tmp_path: Path) -> None:
    """A pickle may name any function; `weights_only` must refuse it."""
    canary = tmp_path / "canary"
    (tmp_path / "code.pth").write_bytes(pickle.dumps(RunsOnLoad(canary), protocol=2))
    with pytest.raises(InputError, match="cannot be read"):
        import_infinity(tmp_path / "code.pth")
    assert not canary.exists()
