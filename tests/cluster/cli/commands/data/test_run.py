from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.cli.commands.data.run import run
from videoar.data_pipeline.preparing import prepare as preparing


def test_stdout_is_for_the_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray prints messages about its workers; between two JSON lines they would break the script that reads them."""

    def prepare(config: object, url: str, **options: object) -> dict[str, str]:
        print("(raylet) a worker died")
        assert options["retry_failed"] is True
        return {"clips32": f"{url}/clips32"}

    monkeypatch.setattr(preparing, "prepare", prepare)
    assert run(["debug", "--output", str(tmp_path), "--retry-failed"], "videoar data run") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"dataset": "clips32", "url": f"{tmp_path}/clips32"}
    assert "(raylet)" in shown.err
    assert run(["debug", "--output", str(tmp_path), "--retry-failed", "--json"], "videoar data run") == 0
    assert json.loads(capsys.readouterr().out)["datasets"] == {"clips32": f"{tmp_path}/clips32"}
