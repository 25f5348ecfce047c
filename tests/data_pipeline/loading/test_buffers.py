"""Memory for samples is used again, and only when nothing reads it any more."""

from __future__ import annotations

import numpy as np

from videoar.data_pipeline.loading.buffers import Buffers


def test_memory_is_used_again_only_when_nobody_holds_a_part_of_it() -> None:
    """A sample that is still in use would turn into another one under the hands of the trainer."""
    buffers = Buffers()
    room = buffers.lend(100)
    kept = np.frombuffer(room[40:60], dtype=np.uint8)
    address = np.frombuffer(room, dtype=np.uint8).ctypes.data
    kept[:] = 7
    del room
    other = buffers.lend(100)
    other[:] = bytes(100)
    assert (kept == 7).all()
    del kept
    assert np.frombuffer(buffers.lend(90), dtype=np.uint8).ctypes.data == address
    assert len(buffers.lend(5000)) == 5000, "what is too small is left to the collector"
