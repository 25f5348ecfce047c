"""Measures of a process: time in collectives, and memory."""

from __future__ import annotations

from videoar.pretrain.engine.profile import measured_communication, peak_memory


def test_nothing_is_measured_unless_wanted() -> None:
    """A step without the profiler must report no figure, rather than zero seconds."""
    with measured_communication(False) as communication:
        pass
    assert communication.seconds is None


def test_peak_memory_is_in_bytes() -> None:
    """The operating system counts in KiB: a Python with torch has more than 50 MB, and less than a terabyte."""
    assert 50e6 < peak_memory() < 1e12
