"""The part of docs/scale.md on preparing data."""

from __future__ import annotations

from collections.abc import Iterator

from videoar.benchmarks.tokenizer import TokenizerCase, convolutions
from videoar.configs.t2v_4b import recipe as t2v_4b
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.pretrain.budget.machine import GPUS
from videoar.pretrain.budget.stored_bytes import sample_bytes
from videoar.pretrain.planner.report import amount, duration
from videoar.tokenizer.scales import PIXELS_PER_CELL, ScaleSchedule

CLIPS = (100_000_000, 10_000_000_000)
TOKENIZER_SHARE = 0.3
"""Share of the peak that the tokenizer's convolutions reach: assumed."""
DECODED_FRAMES_PER_S = 420
"""Frames of 1280x720 H.264 that a CPU core decodes and resizes in a second, measured with PyAV on one core."""
UNITS_PER_S = 720
"""Units that a driver schedules in a second, measured (`benchmarks/results`, data_units)."""
RESTART_S_PER_UNIT = 17.6 / 24_000
"""Seconds that a restart reads for each committed unit, measured in the same run."""

_CLIPS = """
Clips of {frames} frames at {schedule}, made by `videoar data run` with a tokenizer of the paper's size, which takes
{tflops:.0f} TFLOP to encode one.
"""
_DATA = """
The tokenizer is assumed to reach {share:.0%} of the peak. A core decodes and resizes {rate} frames of 1280x720 a
second, and a driver schedules {units} units a second (both measured; [preparing at scale](preparing.md#figures)).
Text is float16 states of captions of every length up to {text} tokens. The driver is not what limits such a job,
but a restart with 10 G clips reads commits for hours: plan several datasets of 1 G clips or less.
"""


def preparation(gpu: str) -> Iterator[str]:
    """A row for each number of clips."""
    base = t2v_4b()
    (dataset,) = (config for config in base.data.datasets if config.name == "clips384")
    flops = sum(work.flops for work in convolutions(_case(dataset), "encode"))
    text = base.model.text
    text_bytes = 2 * text.width * (1 + text.max_tokens) / 2
    yield "## Preparing data"
    yield _CLIPS.format(frames=dataset.bucket.num_frames, schedule=dataset.bucket.schedule, tflops=flops / 1e12)
    yield from head(
        "Clips",
        "Bits, latents",
        "Text",
        "Shards",
        f"{gpu}-hours",
        "On 512",
        "Cores a GPU",
        "Driver schedules",
        "Restart",
    )
    for clips in CLIPS:
        shards = clips // base.data.samples_per_shard
        clip_s = flops / (GPUS[gpu].flops_per_s * TOKENIZER_SHARE)
        hours = clips * clip_s / 3600
        yield row(
            amount(clips).strip(),
            f"{clips * sample_bytes(base, dataset) / 1e12:,.0f} TB",
            f"{clips * text_bytes / 1e12:,.0f} TB",
            f"{shards:,}",
            f"{hours:,.0f}",
            duration(hours / 512),
            f"{dataset.bucket.num_frames / DECODED_FRAMES_PER_S / clip_s:.1f}",
            duration(shards / UNITS_PER_S / 3600),
            duration(shards * RESTART_S_PER_UNIT / 3600),
        )
    yield _DATA.format(share=TOKENIZER_SHARE, rate=DECODED_FRAMES_PER_S, units=UNITS_PER_S, text=text.max_tokens)


def _case(dataset: DatasetConfig) -> TokenizerCase:
    height, width = (PIXELS_PER_CELL * side for side in ScaleSchedule.named(dataset.bucket.schedule).grid)
    return TokenizerCase(preset="paper", frames=dataset.bucket.num_frames, height=height, width=width)


def head(*titles: str) -> list[str]:
    """The first lines of a table in Markdown."""
    return [row(*titles), row(*("---" for _ in titles))]


def row(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"
