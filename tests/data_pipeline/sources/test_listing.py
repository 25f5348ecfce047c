from __future__ import annotations

import os
from pathlib import Path

from ..datasets import listed
from ..videos import write_video


def test_a_name_that_is_not_text_is_escaped(folder: Path) -> None:
    """Plans hold UTF-8 only, but names of files may hold any bytes."""
    os.rename(folder / "good.mp4", os.fsencode(folder) + b"/inv\xff.mp4")
    write_video(folder / "good.mp4", num_frames=2)
    sources, skipped = listed(path=str(folder))
    assert [source.path for source in sources] == ["good.mp4"]
    assert skipped == {"inv\\udcff.mp4": "its name is not UTF-8 text"}
