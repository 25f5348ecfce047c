from __future__ import annotations

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from videoar.cluster.ground.workers import _outcome


def failure(rank: int, code: int) -> ProcessFailure:
    return ProcessFailure(local_rank=rank, pid=1, exitcode=code, error_file="/nonexistent")


@pytest.mark.parametrize(("codes", "code"), [((1, 2), 2), ((1, 75), 75), ((2, 75), 2), ((1, 1), 1), ((-9, -15), 1)])
def test_a_worker_s_own_exit_code_is_the_job_s(codes: tuple[int, ...], code: int) -> None:
    """torchrun makes 1 of every code: a scheduler would not resubmit what was preempted."""
    assert _outcome(ChildFailedError("videoar", {rank: failure(rank, one) for rank, one in enumerate(codes)})) == code
