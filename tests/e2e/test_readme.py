"""README from the quick tour on: its lines, in order, as somebody types them into a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..data_pipeline.videos import scene, write_frames
from ..forked import PATIENCE_S

pytestmark = pytest.mark.drill

README = (Path(__file__).parents[2] / "README.md").read_text()
TYPED, PYTHON = README.split("## Quick tour")[1].split("## Python")
NOT_HERE = {
    ". .venv/bin/activate": "the tests run in it",
    "videoar study small_world": "24 hours on a core",
    "s3://bucket": "a store of one's own",
    "videoar submit": "a cluster",
    "videoar tokenizer train tokenizer_demo": "an hour on a core",
    "runs/tokenizer/tokenizer": "what that would have trained",
}
"""Parts of lines that are not typed here, and what they need; `tests/cluster/test_docs.py` parses them."""


def lines() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", TYPED, re.DOTALL)
    return [line for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]


def typed(line: str, folder: Path) -> None:
    """A line in a shell of its own; a page is ended by Ctrl-C, as README says."""
    words = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    is_page = line.startswith("videoar serve")
    shown = f"timeout --preserve-status --signal INT 40 {line.partition(' #')[0]}" if is_page else line
    done = subprocess.run(
        ["bash", "-c", shown], cwd=folder, env=words, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode in ((0, 130) if is_page else (0,)), f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert not is_page or "http://127.0.0.1:7860" in done.stdout + done.stderr


def test_every_line_works_in_order(tmp_path: Path) -> None:
    """Lines that parse may still need a file that no line before them makes."""
    for number in range(2):
        write_frames(tmp_path / f"clips/{'xy'[number]}.mp4", scene(number, 60))
        (tmp_path / f"clips/{'xy'[number]}.txt").write_text(f"soft blobs {number} move left")
    (tmp_path / "prompts.txt").write_text("a red square\na blue circle moving right\n")
    found = lines()
    assert all(any(part in line for line in found) for part in NOT_HERE), "every exception is still in README"
    for line in found:
        if not any(part in line for part in NOT_HERE):
            typed(line, tmp_path)
    (snippet,) = re.findall(r"```python\n(.*?)```", PYTHON, re.DOTALL)
    (tmp_path / "snippet.py").write_text(f"import torch\n\nvideo = torch.zeros(1, 3, 9, 256, 256)\n{snippet}")
    typed("python snippet.py", tmp_path)
    assert (tmp_path / "square.mp4").stat().st_size > 1000
