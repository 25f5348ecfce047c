from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time

import pytest

from videoar.cluster.ground.read_ahead import read_ahead


@pytest.mark.parametrize("ahead", [0, 1, 5, 50])
@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_items(threads: int, ahead: int) -> None:
    """A plan or a checkpoint that depended on which thread is fastest would differ between two runs."""
    barrier = threading.Event()

    def slow_first(item: int) -> int:
        if item == 0 and threads > 1 and ahead > 1:
            assert barrier.wait(10), "a later item runs while the first is waited for"
        barrier.set()
        return item * item

    assert list(read_ahead(slow_first, range(20), threads=threads, ahead=ahead)) == [i * i for i in range(20)]


def test_no_more_than_the_asked_number_are_in_flight() -> None:
    """Items that are pulled without a bound would fill the memory with what nobody has used yet."""
    pulled = itertools.count()
    results = read_ahead(str, pulled, threads=2, ahead=3)
    assert [next(results) for _ in range(4)] == ["0", "1", "2", "3"]
    results.close()
    assert next(pulled) == 4 + 3, "four were used, and three more were pulled"


def test_an_exception_is_raised_at_its_item() -> None:
    """What was read before the damaged item is still used, so that a message names the first damaged one."""
    results = read_ahead(lambda item: 6 // item, [3, 2, 0, 1], threads=2, ahead=4)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_consumer_that_stops_leaves_no_thread_and_no_late_call() -> None:
    """Calls that run after their consumer has gone would use decoders and stores that are closed by then."""
    before, calls = set(threading.enumerate()), []

    def slow(item: int) -> None:
        calls.append(item)
        time.sleep(0.02)

    results = read_ahead(slow, range(1000), threads=1, ahead=100)
    next(results)
    results.close()
    assert not set(threading.enumerate()) - before
    assert len(calls) < 100, "the calls that waited were cancelled"


def test_it_imports_nothing_heavy() -> None:
    """The decoder's process uses it under a memory limit: torch does not fit into it."""
    heavy = "{'torch', 'numpy'} & set(sys.modules)"
    program = f"import sys, videoar.cluster.ground.read_ahead as _; print(*({heavy}))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not found.stdout.strip()
