from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.run_report.page import render
from videoar.configs.debug import recipe

from ...pretrain.diagnose.curves import all_of, healthy, late, write


def test_the_page_has_curves_samples_and_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who has no account elsewhere looks at a run, and sends the folder to a colleague."""
    records = [record | {"tokens_per_s": 1000.0} for record in healthy()]
    for record in records[:8]:
        record["stage"] = "images"
    run = write(tmp_path / "run", records)
    lines = ('{"step": 5, "stage": "images", "dataset": "<held>", "loss": 0.68, "bit_accuracy": 0.5}\n',)
    (run / "validation.jsonl").write_text("".join(lines))
    for step in ("step-00000005", "step-00000010"):
        (run / "samples" / step).mkdir(parents=True)
        (run / "samples" / step / "all.mp4").write_bytes(b"film")
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    page = (run / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "Step 20 of 20" in page
    assert {"images", "long", "&lt;held&gt;"} <= set(re.findall(r">([^<>]+)<", page))
    assert '<video src="samples/step-00000010/all.mp4"' in page
    assert "first loss" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("every", "said"),
    [
        (0, "log.sample_every asks for them"),
        (10, "every 10 steps"),
        (1100, "is 1,100, more than the 20 steps of the run"),
    ],
)
def test_the_page_says_why_there_are_no_samples(tmp_path: Path, every: int, said: str) -> None:
    """Who lowered the steps of a recipe looks for the videos that its interval no longer reaches."""
    run = write(tmp_path / "run", healthy())
    base = recipe()
    (run / "config.yaml").write_text(to_yaml(replace(base, log=replace(base.log, sample_every=every))))
    assert said in render(run)


def _line(number: int, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        records[number] = fields

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (all_of("loss", math.nan), "loss, nats per bit: 20 of 20 steps have no finite value"),
        (late("loss", math.inf), "loss, nats per bit: 8 of 20 steps have no finite value"),
        (late("loss", "x"), "loss, nats per bit: 8 of 20 steps have no finite value"),
        (late("loss", 1e300), "loss, nats per bit: 8 of 20 steps have no finite value"),
        (late("loss", 10**90), "Step 20 of 20"),
        (late("bit_accuracy", None), "bits right, %: 8 of 20 steps have no finite value"),
        (all_of("tokens_per_s", math.inf), "tokens per second: 20 of 20 steps have no finite value"),
        (all_of("tokens_per_s", 1e20), "Step 20 of 20"),
        (all_of("grad_norm", math.nan), "gradient norm"),
        (all_of("grad_norm_by_block", {"head": "x"}), "by block"),
        (all_of("bit_accuracy_by_scale", [math.nan, "x", None, math.inf]), "loss by scale"),
        (all_of("step_s", -math.inf), "data wait"),
        (_line(3), "1 lines of metrics.jsonl are not records of steps"),
        (_line(19, step=math.inf, stage="long", loss=0.1), "1 lines of metrics.jsonl are not records of steps"),
        (_line(0, step=0, stage="long"), "1 of 20 steps have no finite value"),
        (_line(0, step="0", stage=5), "1 lines of metrics.jsonl are not records of steps"),
    ],
)
def test_a_run_that_went_bad_has_a_page(
    change: Callable[[list[dict[str, Any]]], None], said: str, tmp_path: Path
) -> None:
    """This is when one looks at it: the page shows what is finite, and says what it leaves out."""
    records = [record | {"tokens_per_s": 1000.0} for record in healthy()]
    change(records)
    run = write(tmp_path / "run", records, [{"event": "begun_from"}, {}])
    held = {"step": 5, "dataset": "held", "loss": math.nan, "bit_accuracy": "x"}
    (run / "validation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (held, {}, {"step": 6})))
    page = render(run)
    assert said in page
    assert page.count("<svg") >= 2
    assert not re.search(r'="[^"]*\b(nan|inf)\b', page), "a browser draws nothing of it"


def test_names_of_folders_are_text(tmp_path: Path) -> None:
    """A page that somebody sends must not run what a folder is called."""
    run = write(tmp_path / "run", [record | {"tokens_per_s": 1.0} for record in healthy()])
    (run / "samples" / "step-<b>x").mkdir(parents=True)
    (run / "samples" / "step-<b>x" / "all.mp4").touch()
    page = render(run)
    assert "<b>" not in page
    assert ">step-&lt;b&gt;x</a>" in page


def test_a_run_without_a_step_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty chart would look like a run that does not learn."""
    assert main(["report", str(write(tmp_path / "run", []))]) == 2
    assert "has not taken a step yet" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "gone")]) == 2
    assert main(["report", str(write(tmp_path / "run", [{}]))]) == 2
    assert "has no record of a step in metrics.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "run" / "report.html").exists()
