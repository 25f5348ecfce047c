"""README from the quick tour on: its lines, in order, as somebody types them into a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..data_pipeline.videos import scene, write_frames
from .shell import blocks, lines, typed

README = (Path(__file__).parents[2] / "README.md").read_text()
FIRST, REST = README.split("## Quick tour")
TYPED, PYTHON = REST.split("## Python")
BEFORE = {
    "make demo": "tests/e2e/test_demo.py",
    "make test": "this suite",
    "make docs": "tests/scripts/test_site.py",
    "pip install": "a network; tests/e2e/test_wheel.py installs the wheel",
    "docker build": "Docker",
    "docker run": "the image of that line",
    "--print-completion": "tests/cluster/cli/test_completion.py",
}
"""Parts of the lines before the quick tour, which install the package, and what they need or which test does it."""
NOT_HERE = {
    ". .venv/bin/activate": "the tests run in it",
    "videoar study small_world": "hours on a core",
    "videoar train my.yaml": "a quarter of an hour on a core; tests/cluster/test_your_folder.py, with fewer steps",
    "s3://bucket": "a store of one's own",
    "videoar submit": "a cluster",
    "videoar tokenizer train tokenizer_demo": "an hour on a core",
    "runs/tokenizer/tokenizer": "what that would have trained",
}
"""Parts of lines that are not typed here, and what they need; `tests/cluster/test_docs.py` parses them."""


def test_every_line_has_its_place() -> None:
    """A new line of the installation that no test knows, or an excuse for one that is gone."""
    for text, parts in ((FIRST, BEFORE), (TYPED, NOT_HERE)):
        assert [part for part in parts if not any(part in line for line in lines(text))] == []
    assert [line for line in lines(FIRST) if not any(part in line for part in BEFORE)] == []
    assert [len(blocks(text, "python")) for text in (FIRST, TYPED, PYTHON)] == [0, 0, 1]


@pytest.mark.drill
def test_every_line_works_in_order(tmp_path: Path) -> None:
    """Lines that parse may still need a file that no line before them makes."""
    for number in range(2):
        write_frames(tmp_path / f"clips/{'xy'[number]}.mp4", scene(number, 60))
        (tmp_path / f"clips/{'xy'[number]}.txt").write_text(f"soft blobs {number} move left")
    (tmp_path / "prompts.txt").write_text("a red square\na blue circle moving right\n")
    for line in lines(TYPED):
        if not any(part in line for part in NOT_HERE):
            typed(line, tmp_path)
    (snippet,) = blocks(PYTHON, "python")
    (tmp_path / "snippet.py").write_text(f"import torch\n\nvideo = torch.zeros(1, 3, 9, 256, 256)\n{snippet}")
    typed("python snippet.py", tmp_path)
    assert (tmp_path / "square.mp4").stat().st_size > 1000
