"""What exported weights will do, by the recipe of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.configs.debug import recipe
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.pretrain.diagnose.export import exported, guidance
from videoar.pretrain.model.pretrained import ExportConfig

from .curves import write


@pytest.mark.parametrize(("dropout", "state", "ramp", "found"), [(0.1, "ok", "t2v", "ok"), (0.0, "warn", "1", "fail")])
def test_guidance_needs_text_dropout(tmp_path: Path, dropout: float, state: str, ramp: str, found: str) -> None:
    """Weights of an earlier version keep the ramp that turns their videos to noise: exporting again repairs them."""
    chosen = replace(recipe(), text_dropout=dropout)
    run = write(tmp_path, [])
    (run / "config.yaml").write_text(to_yaml(chosen))
    evidence = Evidence.read(run)
    assert [(finding.name, finding.state) for finding in guidance(evidence)] == [("guidance", state)]
    old = ExportConfig(model=chosen.model, guidance="t2v")
    assert [finding.state for finding in exported(evidence, old)] == [found]
    assert [finding.state for finding in exported(evidence, replace(old, guidance=ramp))] == ["ok"]
