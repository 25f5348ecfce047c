"""One line for each arm and seed, whatever happens, and the tables and the page of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videoar.cluster.study.page import render
from videoar.cluster.study.results import Results, compared, keep_result, read_results
from videoar.cluster.study.table import markdown
from videoar.configs.studies.find import find_study
from videoar.pretrain.study.definition import Study

BASELINES = {"last frame repeated": {"psnr": [[20.0] * 4], "position": [[0.1] * 4]}, "bits": {"accuracy": [0.5]}}


@pytest.fixture(scope="module")
def study() -> Study:
    return find_study("debug")


def made(arm: str, seed: int, gain: float = 0.0) -> dict[str, Any]:
    """A line whose clean accuracy is higher by `gain`, and everything else the same for every arm."""
    draws = np.random.default_rng(seed)
    clean = 50 + draws.integers(0, 20, (8, 9)) + gain + draws.normal(0, 0.1, (8, 1))
    sums = {
        "trained": 3,
        "frame_bits": 80,
        "first_bits": 32,
        "clean": clean.tolist(),
        "flipped": {"0.1": [50] * 8, "0.3": [40] * 8},
        "inherited": [16] * 8,
        "hidden": [100] * 8,
        "psnr": [[20.0, 19.0, 18.0, 17.0]] * 4,
        "position": [[0.1] * 4] * 4,
        "motion": [1.0] * 4,
        "true_motion": [2.0] * 4,
        "prompt": [[1, 0, 1]] * 4,
    }
    return {"study": "debug", "arm": arm, "seed": seed, "steps": 5, "train_s": 1.0, "measure_s": 1.0, "sums": sums}


def results(*lines: dict[str, Any]) -> Results:
    return {(line["arm"], line["seed"]): line for line in lines}


def test_a_line_is_replaced_and_an_unfinished_one_dropped(tmp_path: Path) -> None:
    """A process killed in the middle of a write leaves half a line at worst, and its rerun makes it whole."""
    path = tmp_path / "results.jsonl"
    keep_result(path, made("rope", 0))
    keep_result(path, made("rope", 1))
    with path.open("a") as file:
        file.write('{"arm": "rope", "se')
    keep_result(path, made("rope", 0, gain=1.0))
    assert len(path.read_text().splitlines()) == 2
    assert read_results(path)["rope", 0] == made("rope", 0, gain=1.0)
    assert read_results(tmp_path / "none.jsonl") == {}


def test_arms_are_compared_over_common_seeds(study: Study) -> None:
    """A seed that only one arm has would compare different draws."""
    found = results(made("learned", 0), made("learned", 1), made("rope", 1), made("rope", 2))
    (pair,) = compared(study, found)
    assert (pair.contrast.arm, pair.contrast.over, pair.seeds) == ("rope", "learned", (1,))


def test_nulls_and_effects_are_told_apart(study: Study) -> None:
    """A clear effect is reproduced, no effect is not resolved, and the paper's row says which directions agree."""
    lines = [made(arm, seed, gain) for arm, gain in (("learned", 0.0), ("rope", 4.0)) for seed in range(3)]
    said = markdown(study, results(*lines), BASELINES)
    assert "| rope − learned | M6 bits right, % | rises | +5.00 | " in said
    assert said.count("**reproduced**") == 3
    assert "| rope − learned | gFVD 96.04 → 94.95 (Table 4) | agree | 3 reproduced |" in said
    assert "| last frame repeated | 20.00 | 10.00 |" in said
    worse = [made(arm, seed, gain) for arm, gain in (("learned", 4.0), ("rope", 0.0)) for seed in range(3)]
    assert "| disagree | 3 opposite |" in markdown(study, results(*worse), BASELINES)
    null = [made(arm, seed) for arm in ("learned", "rope") for seed in range(3)]
    assert "| not resolved here | 3 not resolved |" in markdown(study, results(*null), BASELINES)
    single = [made(arm, 0, gain) for arm, gain in (("learned", 0.0), ("rope", 4.0))]
    assert "| not resolved here | 3 one seed |" in markdown(study, results(*single), BASELINES)


def test_the_page_draws_every_arm(study: Study) -> None:
    """Every arm is in every curve; an empty study has a page, too."""
    lines = [made(arm.name, seed) for arm in study.arms for seed in range(2)]
    page = render(study, results(*lines), BASELINES)
    assert page.count('<i class="arm-7">') == 4
    assert page.count("<svg") == 8
    assert "<script" not in page
    assert "nan" not in page.lower().split()
    assert "Nothing has been run yet." in render(study, {}, {})
    assert "Nothing has been run yet." in markdown(study, {}, {})
