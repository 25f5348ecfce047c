"""What preparing costs beside its own decoding and tokenizing: one actor on real films."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from videoar.configs.clips import package_clips
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.encoding.encode import ClipEncoder
from videoar.data_pipeline.encoding.footage import Footage
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.preparing.prepare import prepare
from videoar.data_pipeline.preparing.worker import UnitResult, UnitWorker
from videoar.data_pipeline.shards.commits import Unit
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.config import ClipBucket, TokenizerSource

GOAL = 0.10
CASES = (("demo", "128x128"), ("tiny", "64x64"))
"""(tokenizer, frame size): the one that ships, and the cheapest, beside which everything else is dearest."""

_TIMES = "times.jsonl"


class _TimedEncoder(ClipEncoder):
    tokenize_s = 0.0

    def _tokenize(self, *given: Any) -> Any:
        began = time.monotonic()
        made = super()._tokenize(*given)
        self.tokenize_s += time.monotonic() - began
        return made


class TimedWorker(UnitWorker):
    """The worker of every preparation, which notes when it waits for decoded clips and when it tokenizes."""

    def __init__(self, config: DataConfig, output: str, tokenizer: VideoTokenizer, device: torch.device) -> None:
        super().__init__(config, output, tokenizer, device)
        self._encoder = self._timed = _TimedEncoder(config, tokenizer, device)
        self._decode_s = 0.0
        self._file = Path(output) / _TIMES

    def run(self, name: str, unit: Unit) -> UnitResult:
        """One unit, with a line about it."""
        self._decode_s, self._timed.tokenize_s = 0.0, 0.0
        began = time.monotonic()
        result = super().run(name, unit)
        line = {"began": began, "ended": time.monotonic(), "decode_s": self._decode_s}
        line["tokenize_s"] = self._timed.tokenize_s
        with self._file.open("a") as file:
            file.write(json.dumps({**line, "clips": result.num_clips}) + "\n")
        return result

    def _footage(self, dataset: DatasetConfig, clips: Sequence[Clip]) -> Iterator[Footage]:
        footage = super()._footage(dataset, clips)
        while True:
            began = time.monotonic()
            item = next(footage, None)
            self._decode_s += time.monotonic() - began
            if item is None:
                return
            yield item


def run(cases: tuple[tuple[str, str], ...] = CASES, samples_per_shard: int = 16) -> dict[str, Any]:
    """Seconds of a preparation from its first unit to its last, over those of waiting for clips and tokenizing."""
    found = [
        {"tokenizer": name, "frames": f"17 x {size}", **_case(name, size, samples_per_shard)} for name, size in cases
    ]
    return {"actors": 1, "samples_per_shard": samples_per_shard, "cases": found, "goal": GOAL}


def _case(tokenizer: str, size: str, samples_per_shard: int) -> dict[str, Any]:
    films = DatasetConfig(
        name="films",
        source=package_clips(0.0, 1.0),
        bucket=ClipBucket(schedule=size, num_frames=17, fps=8.0),
        stride_s=0.25,
    )
    source = TokenizerSource(path=tokenizer) if tokenizer == "demo" else TokenizerSource(preset=tokenizer)
    config = DataConfig(datasets=(films,), tokenizer=source, samples_per_shard=samples_per_shard)
    with tempfile.TemporaryDirectory(prefix="videoar-bench-") as folder:
        prepare(config, folder, runner=TimedWorker)
        lines = [json.loads(line) for line in (Path(folder) / _TIMES).read_text().splitlines()]
    return _figures(lines)


def _figures(lines: list[dict[str, float]]) -> dict[str, Any]:
    wall_s = lines[-1]["ended"] - lines[0]["began"]
    total = {name: sum(line[name] for line in lines) for name in ("decode_s", "tokenize_s", "clips")}
    between_s = wall_s - sum(line["ended"] - line["began"] for line in lines)
    own_s = total["decode_s"] + total["tokenize_s"]
    return {
        "units": len(lines),
        "wall_s": wall_s,
        **total,
        "between_units_s": between_s,
        "clips_per_s": total["clips"] / wall_s,
        "overhead": wall_s / own_s - 1,
    }
