"""What programs of the engines answer, as a person reads it in one line."""

from __future__ import annotations

import pytest

from videoar.cluster.submit.programs import Answer

LOG = 'E1128 19:22:40.074820   14657 memcache.go:265] "Unhandled Error" err="connection refused"'


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("sbatch: error: Batch job submission failed: Invalid qos\n", "Batch job submission failed: Invalid qos"),
        (f"{LOG}\n{LOG}\nThe connection to the server was refused\n", "The connection to the server was refused"),
        (f"{LOG}\n", LOG),
        ("first\n\nsecond\n", "first; second"),
    ],
)
def test_answers_are_one_line(written: str, line: str) -> None:
    """Without a cluster, kubectl logs the same four times before it says what is wrong."""
    assert Answer(1, "", written).line == line
