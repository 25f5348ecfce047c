"""Weights generate where only the core dependencies are installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from videoar.configs.debug import recipe
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.pretrained import TOKENIZER
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.scales import ScaleSchedule

from ..blocked import run_without

pytestmark = pytest.mark.slow

EXTRAS = (
    "pyarrow",
    "ray",
    "megatron",
    "deepspeed",
    "transformers",
    "webdataset",
    "s3fs",
    "fsspec",
    "wandb",
    "botocore",
)

GENERATE = """
from videoar.pretrain.model import VideoAR
from videoar.pretrain.generate import VideoPipeline
from videoar.cluster.entry import main
folder, out = sys.argv[1:]
VideoAR.from_pretrained(folder)
video = VideoPipeline.from_pretrained(folder)(prompt="a red square", num_frames=5, seed=0)
print(video.frames.shape)
long = ["--num-frames", "9", "--long", "reencode", "--format", "gif", "--out", out + ".d"]
assert main(["generate", folder, "--prompts", out + ".txt", *long]) == 0
sys.exit(main(["generate", folder, "--prompt", "a red square", "--num-frames", "5", "--out", out]))
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of a tiny untrained model, with its tokenizer."""
    folder, schedule = tmp_path / "weights", ScaleSchedule.named("32x32")
    config: Any = recipe().model
    model = VideoAR(config)
    init_weights(model, 0)
    model.save_pretrained(folder)
    tokenizer = VideoTokenizer.preset("tiny", latent_dim=config.latent_dim)
    tokenizer.save(folder / TOKENIZER)
    written = json.loads((folder / "config.json").read_text())
    shape = {"schedule": schedule.name, "schedule_hash": schedule.hash, "num_frames": 5, "fps": 8.0}
    written |= {"shapes": [shape], "tokenizer_hash": tokenizer.hash}
    (folder / "config.json").write_text(json.dumps(written))
    return folder


def test_an_export_generates_without_extras(export: Path, tmp_path: Path) -> None:
    """`pip install .` is all that a user of the weights needs: an import of a training library would break it."""
    out = tmp_path / "video.mp4"
    (tmp_path / "video.mp4.txt").write_text("a boat")
    assert "(5, 32, 32, 3)" in run_without(EXTRAS, GENERATE, export, out)
    assert out.stat().st_size > 0
    assert (tmp_path / "video.mp4.d" / "0000.gif").stat().st_size > 0
