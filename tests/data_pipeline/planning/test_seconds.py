from __future__ import annotations

import numpy as np

from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.planning.seconds import Unclaimed


def test_each_moment_is_claimed_once() -> None:
    """Overlapping clips would count a second twice; gaps between claims must not be lost."""
    draws = np.random.default_rng(0)
    for length in [0, 1, *draws.integers(2, 200, 100)]:
        free, time = np.ones(length, bool), Unclaimed(float(length))
        for start, end in draws.integers(-5, length + 5, (40, 2)):
            part = Window(start_s=float(start), end_s=float(end))
            inside = free[max(0, start) : max(0, end)]
            rest = time.end_of(part)
            if inside.size and inside[-1]:
                run = len(inside) if inside.all() else int(np.argmin(inside[::-1]))
                assert rest is not None
                assert round(rest.end_s - rest.start_s) == run
            else:
                assert rest is None
            assert time.claim(part) == 1_000_000 * inside.sum()
            inside[:] = False
        assert time.claim(Window(start_s=0.0, end_s=float(length))) == 1_000_000 * free.sum()


def test_a_rounding_error_is_no_gap() -> None:
    """Clips that follow each other at 30000/1001 frames a second would leave a thousand gaps of a microsecond."""
    time, span_s = Unclaimed(1000.0), 17 * 1001 / 30000
    claimed = sum(time.claim(Window(start_s=i * span_s, end_s=(i + 1) * span_s)) for i in range(1700))
    rest = time.end_of(Window(start_s=0.0, end_s=1000.0))
    assert rest is not None
    assert claimed + time.claim(rest) == 1000 * 1_000_000
