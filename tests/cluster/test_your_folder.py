"""The page `Train on your folder`: its commands, in order and as written, on a folder of clips."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from videoar.cluster.entry import main

from ..data_pipeline.videos import scene, write_frames

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "your_folder.md").read_text()


def test_the_page_leads_from_a_folder_to_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line is what somebody with a folder of clips types; only the steps are fewer, as an editor would do it."""
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        write_frames(Path(f"clips/{number}.mp4"), scene(number, 60))
        Path(f"clips/{number}.txt").write_text(f"soft blobs {number} move left")
    for name, text in re.findall(r'```yaml title="([\w.]+)"\n(.*?)```', PAGE, re.DOTALL):
        Path(name).write_text(text)
    lines = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 10
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "videoar"
        assert main(words[1:]) == 0, capsys.readouterr().err
        if words[1] == "init":
            written = Path(words[words.index("--out") + 1])
            short = re.sub(r"steps: \d{2,}", "steps: 3", written.read_text())
            written.write_text(short.replace("stride_s: 0.02", "stride_s: 0.5"))
    assert "<svg" in Path("runs/my/report.html").read_text()
    assert Path("my.mp4").stat().st_size > 1000
