"""The case without a GPU."""

from __future__ import annotations

import pytest
import torch

from videoar.pretrain.parallel import cpu


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_schedules_that_ask_for_cuda_get_the_cpu() -> None:
    """Megatron-core's schedules allocate counters on CUDA; without this no run starts on a laptop."""
    with cpu.schedule_scope():
        assert torch.zeros(1, device="cuda").device.type == "cpu"
        assert torch.ones(2, device=torch.device("cuda", 0)).sum() == 2
    assert cpu.device_of(3) == torch.device("cpu")
    assert cpu.communication_backend() == "gloo"
