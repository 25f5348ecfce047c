from __future__ import annotations

import pytest

from videoar.cluster.entry import main


def test_a_recipe_without_url_asks_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the check the states would be looked for in the current folder."""
    assert main(["data", "text", "t2v_4b"]) == 2
    assert capsys.readouterr().err.startswith(
        "output='': is not given, and data.url of the recipe is empty; add --output URL"
    )
