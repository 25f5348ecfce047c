from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.submit import follow as module
from videoar.cluster.submit.follow import follow


def test_what_is_written_last_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that matters, the error, is written between the last look and the end of the job."""
    monkeypatch.setattr(module, "POLL_S", 0.0)
    log, steps = tmp_path / "a.log", iter([None, "begins\n", "fails\n"])

    def has_ended() -> bool:
        if (text := next(steps)) is not None:
            with log.open("a") as file:
                file.write(text)
        return text == "fails\n"

    assert "".join(follow(lambda: [log], has_ended)) == "begins\nfails\n"
    assert "".join(follow(lambda: [log], None)) == "begins\nfails\n"
