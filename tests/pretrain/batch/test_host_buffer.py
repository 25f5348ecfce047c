"""The buffer between host and device: every array comes out as it went in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videoar.pretrain.batch.host_buffer import HostBuffer


def arrays() -> dict[str, dict[str, list[np.ndarray]]]:
    """One byte in front of each wider type, and arrays without an element."""
    return {
        "one": {
            "flag": [np.array([True, False, True])],
            "ids": [np.array([[1, -(2**62)]]), np.zeros((0, 2), np.int64), np.array([[3, 4], [5, 6]])],
        },
        "two": {
            "flag": [np.array([7], np.uint8)],
            "half": [np.ones((2, 3), np.float16), np.full((1, 3), 0.5, np.float16)],
            "none": [np.zeros((0, 4), np.float32)],
            "mixed": [np.ones(1, np.int8), np.full(1, 0.25, np.float16)],
        },
    }


def test_arrays_come_out_as_they_went_in() -> None:
    """A wrong offset, type or order of the parts would train on other numbers without an error."""
    groups = arrays()
    found = HostBuffer.of(groups).on("cpu")
    assert {group: list(names) for group, names in found.items()} == {
        group: list(names) for group, names in groups.items()
    }
    for group, names in groups.items():
        for name, parts in names.items():
            wanted = torch.from_numpy(np.concatenate(parts))
            assert found[group][name].dtype == wanted.dtype, name
            assert torch.equal(found[group][name], wanted), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pinned_memory_is_not_reused_before_it_is_copied() -> None:
    """The host is ahead of the device: the next pack must not overwrite one that is still to be copied."""
    blocker = torch.randn(4096, 4096, device="cuda")
    for _ in range(50):
        blocker = blocker @ blocker
    found = [HostBuffer.of({"g": {"x": [np.full(1 << 20, number)]}}, pinned=True).on("cuda") for number in range(8)]
    assert [int(groups["g"]["x"].unique()) for groups in found] == list(range(8))
