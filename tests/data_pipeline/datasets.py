"""Datasets of the tests: a folder, a bucket and limits that most of them share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.shards.sample_format import SampleFormat
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.sources.source import Skipped, Source
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

from .videos import write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)
LIMITS = DecodeLimits(wall_s=60.0)
FORMAT = SampleFormat(
    schedule=ScaleSchedule.named("32x32"), tokenizer_hash="ab" * 8, latent="int8", latent_dim=16, fps=8.0
)


def dataset(folder: Path, **changes: object) -> DatasetConfig:
    """The clips of a folder, with these fields of the dataset changed."""
    config = DatasetConfig(name="clips", source=SourceConfig(path=str(folder)), bucket=BUCKET)
    return replace(config, **changes)  # type: ignore[arg-type]


def listed(**source: object) -> tuple[list[Source], dict[str, str]]:
    """The sources that a configuration lists, and the reason of each input that is left out."""
    sources, skipped = list_sources(SourceConfig(**source))  # type: ignore[arg-type]
    return sources, reasons(skipped)


def reasons(skipped: list[Skipped]) -> dict[str, str]:
    """The reason of each input, by its name."""
    return {item.source: item.reason for item in skipped}


def write_films(root: Path) -> Path:
    """Two films, a short one, a slow one, an image, and three files that are not what their names say."""
    write_video(root / "a.mp4")
    (root / "a.txt").write_text("fading to white\n")
    write_video(root / "deep" / "b.mkv", num_frames=100)
    write_video(root / "short.mp4", num_frames=10)
    write_video(root / "slow.mp4", num_frames=20, fps=5)
    write_video(root / "still.png", num_frames=1)
    (root / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    (root / "zero.mp4").write_bytes(b"")
    (root / "notes.md").write_text("not a clip")
    return root
