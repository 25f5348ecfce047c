"""Small preparations for the tests of runs: what is made, by which driver, and what came of it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.data_pipeline import open_manifest
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.preparing.finish import finish_dataset
from videoar.data_pipeline.preparing.verify import verify
from videoar.data_pipeline.preparing.worker import UnitWorker
from videoar.data_pipeline.shards.commits import COMMITS, remaining_units
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import open_tokenizer
from videoar.tokenizer.config import ClipBucket, TokenizerSource

TOKENIZER = TokenizerSource(preset="tiny", latent_dim=16)

DRIVER = """
import logging, sys
from pathlib import Path
from videoar.cluster.ground.credentials import guard_output
from videoar.cluster.ground.fields.serialize import from_yaml
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.preparing.prepare import prepare
logging.basicConfig(level=logging.DEBUG if "-v" in sys.argv else logging.WARNING)
guard_output()
prepare(from_yaml(DataConfig, Path(sys.argv[1]).read_text(), "config"), sys.argv[2])
"""


def shapes(name: str = "shapes", num_clips: int = 10, num_frames: int = 5) -> DatasetConfig:
    """Drawings, which need no decoder."""
    return DatasetConfig(
        name=name,
        source=SourceConfig(kind="shapes", num_clips=num_clips),
        bucket=ClipBucket(schedule="32x32", num_frames=num_frames),
    )


def films(folder: Path, name: str = "films") -> DatasetConfig:
    """Files of a folder."""
    return DatasetConfig(
        name=name, source=SourceConfig(path=str(folder)), bucket=ClipBucket(schedule="32x32", num_frames=5)
    )


def config(*datasets: DatasetConfig, **changes: object) -> DataConfig:
    """A preparation of four clips a shard."""
    return DataConfig(datasets=datasets, tokenizer=TOKENIZER, **{"samples_per_shard": 4, **changes})


def make_shards(data: DataConfig, out: str | Path) -> None:
    """The shards of a configuration by the actor's own worker, in this process; what is committed is not made again."""
    worker = UnitWorker(data, str(out), open_tokenizer(data.tokenizer), torch.device("cpu"))
    for item in plan_all(data, str(out)):
        for unit in remaining_units(item.plan.shard_sizes, ()):
            worker.run(item.dataset.name, unit)
        assert finish_dataset(item.storage, item.dataset, item.sample_format, item.plan, data.tokenizer, 0.5)
    worker.close()


def start_driver(
    recipe: DataConfig, folder: Path, out: str, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A driver in a process group of its own, with a cluster of its own."""
    path = folder / "data.yaml"
    path.write_text(to_yaml(recipe))
    command = [sys.executable, "-c", DRIVER, str(path), out, *words]
    return subprocess.Popen(
        command, start_new_session=True, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def num_commits(url: str) -> int:
    """Units that count so far."""
    return sum(key.endswith(".json") for key in Storage.open(url).keys(COMMITS))


def contents(url: str) -> dict[str, str]:
    """sha256 of each tar by its folder and place in the plan; attempts have names of their own."""
    return {
        f"{path.parent.name}/{path.name.split('.')[0]}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(url).glob("*/*.tar"))
    }


def keys(manifest: Manifest) -> list[str]:
    """Of the samples, in order."""
    return [entry.key for entry in manifest.entries]


def is_whole(url: str, num_clips: int) -> bool:
    """Every drawing is there, once, and reads back."""
    found = verify(url)
    assert found.problems == ()
    assert found.num_samples == num_clips
    return keys(open_manifest(url)) == [f"shape_{i:08d}" for i in range(num_clips)]
