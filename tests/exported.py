"""A folder of random weights as `videoar export` writes it, for tests that generate."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

from videoar.pretrain.config import ModelConfig, TextConfig
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.pretrained import ClipShape, ExportConfig, write_export
from videoar.tokenizer import ScaleSchedule, VideoTokenizer

MODEL = ModelConfig(num_layers=1, width=16, num_heads=2, latent_dim=16, text=TextConfig(max_tokens=8))


def clip_shape(name: str, num_frames: int, fps: float = 8.0) -> ClipShape:
    """A size that the weights count as trained on."""
    return ClipShape(schedule=name, schedule_hash=ScaleSchedule.named(name).hash, num_frames=num_frames, fps=fps)


def export_folder(folder: Path, model: ModelConfig = MODEL, *shapes: ClipShape) -> Path:
    """Weights, tokenizer and configuration; two sizes unless `shapes` are given."""
    tokenizer = VideoTokenizer.preset("tiny", 16)
    weights = VideoAR(model)
    init_weights(weights, 0)
    sizes = shapes or (clip_shape("32x32", 9), clip_shape("48x48", 1))
    config = ExportConfig(model=model, shapes=sizes, window=2, tokenizer_hash=tokenizer.hash)
    tokenizer.save(folder / "tokenizer")
    return write_export(folder, config, weights.state_dict().items())


def as_in_the_hubs_cache(folder: Path, cache: Path) -> Path:
    """The same folder as huggingface_hub keeps a download: links in snapshots/REVISION to files named by their hash."""
    snapshot, blobs = cache / "models--me--it" / "snapshots" / ("0" * 40), cache / "models--me--it" / "blobs"
    blobs.mkdir(parents=True)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        blob, link = blobs / sha256(file.read_bytes()).hexdigest(), snapshot / file.relative_to(folder)
        shutil.copyfile(file, blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot
