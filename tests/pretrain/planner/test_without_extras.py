"""Plans are for laptops: they need none of the libraries that a cluster has."""

from __future__ import annotations

import pytest

from ..blocked import run_without

pytestmark = pytest.mark.slow

PLAN = """
from videoar.cluster.entry import main
sys.exit(main(["plan", "t2v_4b@64"]))
"""


def test_a_plan_needs_no_training_library() -> None:
    """Pipeline stages and cuts come from `parallel.cuts`; an import of Megatron-core there would need a GPU machine."""
    printed = run_without(("megatron", "deepspeed", "ray"), PLAN)
    assert "on 64 x H200" in printed
    assert "attention" in printed
