from __future__ import annotations

import threading

from videoar.cluster.doctor.check import Check, made, ok
from videoar.cluster.ground.finding import Finding


def test_a_check_that_breaks_is_a_line() -> None:
    """A machine that is broken in a way nobody thought of must still be reported, without a traceback."""

    def breaks() -> Finding:
        raise OSError("Input/output\nerror")

    found = made(Check("disk", "machine", breaks))
    assert (found.name, found.state) == ("disk", "fail")
    assert found.found == "the check ended with OSError: Input/output error"


def test_a_check_that_hangs_is_a_line() -> None:
    """A store or a GPU that never answers would hold up the report, and with it the job."""
    end = threading.Event()

    def hangs() -> Finding:
        end.wait()
        return ok("x", "late")

    found = made(Check("storage", "machine", hangs, limit_s=0.01))
    end.set()
    assert (found.name, found.state, found.found) == ("storage", "fail", "no answer within 0.01 s")
