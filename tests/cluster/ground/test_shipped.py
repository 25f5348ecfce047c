"""Names of weights that ship, beside folders of a person's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.ground.shipped import Shipped


def test_a_folder_of_weights_comes_before_a_name_and_any_other_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results are saved in folders of these names; and weights of one's own may have the name of some that ship."""
    monkeypatch.chdir(tmp_path)
    shipped = Shipped(tmp_path / "package", "config.json")
    for name in ("package/world", "mine"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").touch()
    assert shipped.names() == ("world",)
    assert shipped.find("world") == shipped.folder("world") == tmp_path / "package/world"
    assert shipped.find("mine") == Path("mine")
    assert shipped.find("gone") == Path("gone")
    (tmp_path / "world").mkdir()
    assert shipped.find("world") == shipped.folder("world"), "not a folder of weights"
    (tmp_path / "world/config.json").touch()
    assert shipped.find("world") == Path("world")
