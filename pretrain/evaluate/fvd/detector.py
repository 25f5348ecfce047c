"""Detectors: networks whose features of clips are compared. `fvd` is I3D with weights that the user has.

A distance depends on every byte of the weights, so a detector is known by the sha256 of them.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.fvd.i3d import CLASSES, MIN_FRAMES, I3d
from videoar.tokenizer.weights_file import check_weights, read_tensors

Clips = UInt8[np.ndarray, "b f h w 3"]
ClipFeatures = Float64[np.ndarray, "b d"]
Batches = Iterable[UInt8[np.ndarray, "_ _ _ _ 3"]]
"""Clips in batches of any size, each used once."""

I3D_SIDE = 224
UNCHANGED = "none"
"""Value of `Detector.resize` for a detector that reads frames of any size."""
_REMEDY = "give i3d_pretrained_400.pt (the state dict that VideoGPT, TATS and OmniTokenizer use), or its safetensors"


class Detector(ABC):
    """Clips to features; equal clips have equal features, whatever else is in the batch, up to rounding."""

    name: str
    """Name of a distance between its features: `fvd` is reserved for I3D."""
    sha256: str
    """Hash of the weights."""
    resize: str
    """How the detector resizes the protocol's frames, as a signature says it; or UNCHANGED."""
    min_frames: int
    min_side: int
    """The fewest frames of a clip, and the smallest height or width, that the detector takes."""
    num_features: int
    """Number of features of a clip."""

    @abstractmethod
    def features(self, clips: Clips) -> ClipFeatures:
        """Features of each clip of a batch."""


class I3dDetector(Detector):
    """The logits of I3D, in float32 without TensorFloat-32, so that devices agree."""

    name = "fvd"
    resize = f"bilinear{I3D_SIDE}"
    min_frames = MIN_FRAMES
    min_side = 1
    num_features = CLASSES

    def __init__(self, model: I3d, sha256: str, device: torch.device | str = "cpu") -> None:
        self.model = model.requires_grad_(False).eval().to(device)
        self.sha256 = sha256
        self._device = torch.device(device)

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> I3dDetector:
        """I3D with the weights in a file of the user's: a state dict of torch (nothing in it is executed), or
        safetensors. InputError unless each layer is there with its shape, and no other."""
        path = Path(path)
        with torch.device("meta"):
            model = I3d()
        try:
            model.load_state_dict(_read(path), strict=True, assign=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:160]
            problem = f"is not an I3D with {CLASSES} classes of Kinetics ({reason})"
            raise InputError("detector", path, problem, _REMEDY) from error
        with path.open("rb") as file:
            return cls(model, hashlib.file_digest(file, "sha256").hexdigest(), device)

    @torch.inference_mode()
    def features(self, clips: Clips) -> ClipFeatures:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self.model(to_i3d(clips, self._device)).double().cpu().numpy()


def to_i3d(clips: Clips, device: torch.device | str = "cpu") -> Float32[Tensor, "b 3 f 224 224"]:
    """Frames resized bilinearly to 224 x 224, without antialiasing and with corners not aligned; 2x / 255 - 1."""
    frames = rearrange(torch.from_numpy(np.ascontiguousarray(clips)).to(device), "b f h w c -> (b f) c h w").float()
    resized = F.interpolate(frames, size=(I3D_SIDE, I3D_SIDE), mode="bilinear", align_corners=False)
    return rearrange(2 * resized / 255 - 1, "(b f) c h w -> b c f h w", b=len(clips))


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors by name, in float32; counters of batches, which only training uses, are left out or added by torch."""
    found = read_tensors(path, "detector", _REMEDY)
    kept = {name: value for name, value in found.items() if not name.endswith("num_batches_tracked")}
    check_weights(kept, path, "detector", _REMEDY)
    return {name: value.float() for name, value in kept.items()}
