from __future__ import annotations

from videoar.cluster.demo.report import Findings, to_json


def test_figures_without_the_videos(found: Findings) -> None:
    """report.json is for scripts: megabytes of base64 do not belong there."""
    assert "mp4" not in to_json(found)
    assert '"peak_bytes": null' in to_json(found)
