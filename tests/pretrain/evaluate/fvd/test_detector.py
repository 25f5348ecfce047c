"""Weights of I3D from a user's file: both formats, what is recorded, and files that are something else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.fvd.detector import I3dDetector, to_i3d
from videoar.pretrain.evaluate.fvd.i3d import I3d
from videoar.pretrain.evaluate.fvd.random_features import RandomFeatures

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """A state dict as the ports write it: names without the counters of batches."""
    torch.manual_seed(0)
    return {name: value for name, value in I3d().state_dict().items() if "num_batches" not in name}


@pytest.fixture(scope="module")
def saved(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("i3d") / "i3d_pretrained_400.pt"
    torch.save(state, path)
    return path


@pytest.mark.slow
def test_weights_load_from_both_formats(saved: Path, state: State, tmp_path: Path) -> None:
    """The same weights; the hash is the file's, so that a signature says which one was used."""
    as_safetensors = tmp_path / "i3d.safetensors"
    counters = {name: value for name, value in I3d().state_dict().items() if "num_batches" in name}
    save_file({**state, **counters}, as_safetensors)
    for path in (saved, as_safetensors):
        detector = I3dDetector.load(path)
        assert detector.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        loaded = detector.model.state_dict()
        assert all(torch.equal(loaded[name], value) for name, value in state.items())
        assert not detector.model.training


WRONG: dict[str, Callable[[Path, State], object]] = {
    "is missing": lambda path, state: None,
    "is a folder": lambda path, state: path.mkdir(),
    "is empty": lambda path, state: path.write_bytes(b""),
    "is text": lambda path, state: path.write_text("<html>not found</html>"),
    "is a list": lambda path, state: torch.save([1, 2], path),
    "is a table of other things": lambda path, state: torch.save({"epoch": 3}, path),
    "is another network": lambda path, state: torch.save({"conv.weight": torch.zeros(3)}, path),
    "lacks a layer": lambda path, state: torch.save(dict(list(state.items())[1:]), path),
    "has 600 classes": lambda path, state: torch.save(
        {**state, "logits.conv3d.weight": torch.zeros(600, 1024, 1, 1, 1)}, path
    ),
    "is code": lambda path, state: torch.save(I3d, path),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_wrong_file_is_one_line(kind: str, suffix: str, state: State, tmp_path: Path) -> None:
    """A distance of weights that were only partly loaded is a number like any other."""
    path = tmp_path / f"weights{suffix}"
    WRONG[kind](path, state)
    with pytest.raises(InputError) as caught:
        I3dDetector.load(path)
    message = str(caught.value)
    assert message.startswith(f"detector={path}: ")
    assert "i3d_pretrained_400.pt" in message
    assert "\n" not in message
    assert len(message) < 500


def test_frames_are_resized_as_the_ports_do() -> None:
    """Bilinear at pixel centres: twice the size weighs 3/4 and 1/4; bytes 0 and 255 are -1 and 1."""
    clips = np.zeros((1, 2, 112, 112, 3), np.uint8)
    clips[0, 1, :, 1:, 2] = 255
    video = to_i3d(clips)
    assert video.shape == (1, 3, 2, 224, 224)
    assert video[0, :, 0].max() == video[0, :2].max() == -1
    torch.testing.assert_close(video[0, 2, 1, 50, :5], torch.tensor([-1.0, -0.5, 0.5, 1.0, 1.0]))
    larger = np.zeros((1, 1, 2, 896, 3), np.uint8)
    larger[..., 1::4, :] = 255  # of four columns only the two in the middle are seen: antialiasing would see more
    torch.testing.assert_close(to_i3d(larger), torch.zeros(1, 3, 1, 224, 224), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_features_are_the_logits_of_each_clip(saved: Path) -> None:
    """In float64; equal clips of a batch have equal features. A pass takes a second."""
    detector = I3dDetector.load(saved)
    clip = np.random.default_rng(0).integers(0, 256, (1, detector.min_frames, 8, 8, 3), dtype=np.uint8)
    found = detector.features(np.concatenate([clip, clip]))
    assert found.shape == (2, 400)
    assert found.dtype == np.float64
    assert found[0].std() > 0
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-7)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_has_the_features_of_the_cpu(saved: Path) -> None:
    """With TensorFloat-32 logits would differ in the third digit, and distances between devices with them."""
    clips = np.random.default_rng(0).integers(0, 256, (2, 17, 64, 64, 3), dtype=np.uint8)
    for make in (lambda device: I3dDetector.load(saved, device), RandomFeatures):
        expected = make("cpu").features(clips)
        np.testing.assert_allclose(make("cuda").features(clips), expected, rtol=1e-3, atol=1e-4 * expected.std())
