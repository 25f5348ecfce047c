from __future__ import annotations

import json

from videoar.cluster.ground.finding import Finding, as_json, as_text


def test_a_finding_reads_as_one_line() -> None:
    """The remedy belongs next to the problem."""
    finding = Finding(name="disk", state="warn", found="1 GiB free", remedy="free some space")
    assert as_text(finding) == "warn  disk            1 GiB free; free some space"
    assert json.loads(as_json(finding))["remedy"] == "free some space"
