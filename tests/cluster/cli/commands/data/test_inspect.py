from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.entry import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--clips", "0"), "clips=0: is below 1; use 1 or more"),
        (("3", "--sample", "a"), "sample=a: is given with the shard 3; give one of the two"),
        ((), "URL="),
    ],
)
def test_wrong_input_is_one_line(
    words: tuple[str, ...], message: str, planned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two answers to the same question the command must not pick one in silence; a plan alone has no shards."""
    assert main(["data", "inspect", f"{planned}/clips32", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
