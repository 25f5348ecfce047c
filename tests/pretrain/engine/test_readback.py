"""Results that travel to the host while the device computes on."""

from __future__ import annotations

import pytest
import torch

from videoar.pretrain.engine.readback import Readback


def test_values_are_those_of_the_tensors() -> None:
    """The record of a step is made of them."""
    tensors = torch.arange(3.0, requires_grad=True), torch.tensor(True)
    found = Readback(*tensors).wait()
    assert [value.tolist() for value in found] == [[0.0, 1.0, 2.0], True]
    assert not any(value.requires_grad for value in found)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_reading_does_not_wait_for_later_work() -> None:
    """The device would have nothing to do until the host has read, and enqueued more."""
    matrix, done = torch.randn(4096, 4096, device="cuda"), torch.cuda.Event()
    readback = Readback(matrix[0, 0])
    for _ in range(500):
        matrix = (matrix @ matrix).tanh()
    done.record()
    assert torch.isfinite(readback.wait()[0])
    assert not done.query()
