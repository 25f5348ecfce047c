"""Detectors that are TorchScript files: what they are given, that they run apart, and what is said when they fail."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.fvd.detector import I3dDetector, to_i3d
from videoar.pretrain.evaluate.fvd.fvd import fvd
from videoar.pretrain.evaluate.fvd.protocol import Protocol
from videoar.pretrain.evaluate.fvd.reconstructions import open_detector
from videoar.pretrain.evaluate.fvd.script import ScriptDetector, is_script

CLIPS = np.random.default_rng(0).integers(0, 256, (3, 5, 8, 8, 3), dtype=np.uint8)


class OfChannels(nn.Module):
    """Means of each channel, as plain modules give features."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3, 4))


class LikeStyleGanV(nn.Module):
    """The same, with the flags of StyleGAN-V's file: asked to rescale or resize, its features would be others."""

    def forward(self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False) -> Tensor:
        if rescale or resize or not return_features:
            return x.mean((2, 3, 4)) + 100
        return x.mean((2, 3, 4))


class Vandal(nn.Module):
    """Leaves a file behind."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: Tensor) -> Tensor:
        torch.save(x.mean(), self.path)
        return x.mean((2, 3, 4))


class OfLongClips(nn.Module):
    """Reads no clip of fewer than nine frames."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.size(2) > 8, "too short for me"
        return x.mean((2, 3, 4))


class OfFrames(nn.Module):
    """As many features as frames."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 3, 4))


class OfNothing(nn.Module):
    """No feature."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3, 4))[:, :0]


class OfPhases(nn.Module):
    """Complex features."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x.mean((2, 3, 4)))


def saved(module: nn.Module, path: Path) -> Path:
    torch.jit.script(module).save(str(path))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("module", [OfChannels(), LikeStyleGanV()])
def test_a_module_gets_the_frames_of_i3d(module: nn.Module, tmp_path: Path) -> None:
    """Scaled and resized here, so that the signature says how; features are those of the module, in float64."""
    path = saved(module, tmp_path / "i3d_torchscript.pt")
    detector = open_detector(str(path), "cpu")
    assert isinstance(detector, ScriptDetector)
    assert detector.num_features == 3
    assert detector.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    found = detector.features(CLIPS)
    np.testing.assert_allclose(found, to_i3d(CLIPS).mean((2, 3, 4)).numpy(), rtol=1e-5, atol=1e-6)
    result = fvd([CLIPS], [CLIPS[::-1]], detector, Protocol(frames=5, height=8, width=8, split="x"), resamples=2)
    assert result.signature.startswith(f"script-fvd|det={detector.sha256[:8]}|T5|8|n3x3|")
    assert "resize=bicubic+bilinear224" in result.signature
    assert result.warnings[0].startswith("script-fvd is on the features of a TorchScript file")


@pytest.mark.slow
def test_a_program_fills_no_file(tmp_path: Path) -> None:
    """The file may be anybody's."""
    theirs = tmp_path / "theirs"
    module = Vandal(str(theirs))
    module(torch.zeros(1, 3, 1, 1, 1))
    assert theirs.stat().st_size > 100, "elsewhere it does"
    theirs.unlink()
    ScriptDetector(saved(module, tmp_path / "vandal.pt"))
    assert not theirs.exists() or theirs.stat().st_size == 0


@pytest.mark.slow
def test_a_module_that_fails_is_one_line(tmp_path: Path) -> None:
    """With its own words; and it serves the next clips."""
    detector = ScriptDetector(saved(OfLongClips(), tmp_path / "long.pt"))
    with pytest.raises(
        InputError, match=r"detector=.*long.pt: fails on clips of 5 frames \(.*too short for me\)"
    ) as said:
        detector.features(CLIPS)
    assert "\n" not in str(said.value)
    assert detector.features(CLIPS.repeat(2, axis=1)).shape == (3, 3)
    os.kill(detector._process.pid, 9)
    with pytest.raises(InputError, match=r"fails on clips of 5 frames \(its process ended\)"):
        detector.features(CLIPS)


@pytest.mark.slow
@pytest.mark.parametrize("module", [OfNothing(), OfPhases()])
def test_a_module_without_real_features_is_refused(module: nn.Module, tmp_path: Path) -> None:
    """A distance of none failed deep inside, and half of each complex one was dropped."""
    with pytest.raises(InputError, match="it gives no tensor with a row of real features for each clip"):
        ScriptDetector(saved(module, tmp_path / "odd.pt"))


@pytest.mark.slow
def test_a_module_without_a_number_of_features_is_refused(tmp_path: Path) -> None:
    """Features that are kept are known by their number, and those of two batches are joined."""
    detector = ScriptDetector(saved(OfFrames(), tmp_path / "frames.pt"))
    with pytest.raises(InputError, match=r"fails on clips of 5 frames \(it gives 5 features, and 16 of clips of 16"):
        detector.features(CLIPS)


def test_other_files_are_no_scripts(tmp_path: Path) -> None:
    """A table of weights stays I3D's, with I3D's refusals."""
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "weights.pt")
    (tmp_path / "text.pt").write_text("PK no zip")
    for name in ("weights.pt", "text.pt", "absent.pt"):
        assert not is_script(tmp_path / name)
        with pytest.raises(InputError, match="detector="):
            open_detector(str(tmp_path / name), "cpu")
    assert I3dDetector.name != ScriptDetector.name
