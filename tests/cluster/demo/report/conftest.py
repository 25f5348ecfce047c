from __future__ import annotations

import pytest

from videoar.cluster.demo.cost import Cost
from videoar.cluster.demo.report import Findings, Row, StageCost, TokenizerFacts

from .material import judged


@pytest.fixture
def found() -> Findings:
    metrics = tuple(
        {"step": step, "stage": "I", "loss": 0.69 - 0.01 * step, "bit_accuracy": 0.5 + 0.01 * step, "step_s": 0.5}
        for step in range(10)
    )
    row = Row(title="a <man> & a car", panels=("original", "model"), notes=("", "20.1 dB"), video=b"mp4 bytes")
    return Findings(
        recipe="demo",
        start="small-world",
        machine={"torch": "2.13"},
        parameters=2_000_000,
        num_clips=100,
        tokenizer=TokenizerFacts(name="demo", hash="0" * 16, parameters=1000, latent_dim=24),
        costs=(Cost(name="train", seconds=61.0, peak_bytes=2**30), Cost(name="export", seconds=1.0, peak_bytes=None)),
        stages=(StageCost(name="I", about="images", first_step=0, end_step=10, tokens=7680, seconds=60.0),),
        metrics=metrics,
        validation=tuple({**metrics[step - 1], "step": step, "dataset": "held_films128"} for step in (5, 10)),
        judged=(judged(),),
        rows={"continued": (row,), "animated": (row,), "reconstructed": (row,)},
        commands=("videoar generate runs/demo/weights",),
    )
