from __future__ import annotations

import re
from pathlib import Path

import pytest

from videoar.cluster.entry import main

from ...pretrain.diagnose.curves import healthy, write


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


def test_a_run_without_a_step_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty chart would look like a run that does not learn."""
    assert main(["report", str(write(tmp_path / "run", []))]) == 2
    assert "has not taken a step yet" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "gone")]) == 2
    assert not (tmp_path / "run" / "report.html").exists()
