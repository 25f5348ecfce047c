"""What a process holds under ZeRO: counted tensors agree with the formula."""

from __future__ import annotations

import pytest

from videoar.benchmarks.material import model_of
from videoar.benchmarks.memory import run

pytestmark = pytest.mark.drill  # tests/pretrain/planner/test_counted.py counts the same on two processes


def test_counted_tensors_equal_the_formula() -> None:
    """A second copy that an upgrade keeps, or state that is no longer cut, shows here in bytes."""
    found = run(
        ((0, "float32"), (1, "bf16"), (2, "float32"), (3, "bf16")), model_of(num_layers=2, width=32, num_heads=2)
    )
    for case in found["cases"]:
        counted, expected = case["size_bytes"], case["formula"]
        whole = 4 * found["largest_parameter"] if case["zero_stage"] == 2 else 0
        assert {name: counted[name] for name in expected if name != "gradients"} == {
            name: size for name, size in expected.items() if name != "gradients"
        }
        # ZeRO 2 keeps whole the gradient of a parameter that two replicas share.
        assert 0 <= counted["gradients"] - expected["gradients"] <= whole
