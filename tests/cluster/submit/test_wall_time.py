from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.submit.wall_time import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("12h", 43200), ("2d", 172800), ("01:30", 5400), ("48:00:00", 172800), ("1-12:00:30", 129630)],
)
def test_times_as_people_write_them(text: str, seconds: int) -> None:
    """Slurm reads a bare 90 as minutes, others as seconds: here every time has a unit or colons."""
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["90", "", "1:99", "0m", "00:00:00", "-1h", "1h30m", "soon"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """A job without time is ended before its first step."""
    with pytest.raises(InputError, match=r"^time="):
        seconds_of(text)
