from __future__ import annotations

from pathlib import Path

import pytest
import torch

from videoar.cluster.doctor import gpu

from .programs import install

DRIVERS = {
    "as old as its CUDA": ("echo 525.60.13", "12.8", "ok"),
    "too old": ("echo 535.183.01", "13.0", "fail"),
    "not loaded": (
        "echo 'NVIDIA-SMI has failed because it could not communicate with the driver'; exit 9",
        "13.0",
        "fail",
    ),
    "no text": (r"printf '\377\376\033[2J\n'", "13.0", "fail"),
    "hanging": ("exec /bin/sleep 100", "13.0", "fail"),
    "unused": ("echo 580.95.05", None, "fail"),
}


@pytest.mark.parametrize(("script", "wheel", "state"), DRIVERS.values(), ids=DRIVERS)
def test_the_driver_must_carry_the_wheel(
    script: str, wheel: str | None, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch falls back to the CPU without a word: eight GPUs idle next to a job that takes a hundred times as long."""
    install(tmp_path, monkeypatch, nvidia_smi=script)
    monkeypatch.setattr(gpu, "_SMI_S", 0.3 if "sleep" in script else 30.0)
    found = gpu.driver(wheel)
    assert found.state == state
    assert state == "ok" or wheel is None or found.found.isprintable()
    assert "sleep" not in script or found.found == "nvidia-smi says: no answer within 0.3 s"
    assert bool(found.remedy) == (state != "ok")


def test_a_machine_without_nvidias_tools_needs_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    assert gpu.driver(None).state == "ok"


def test_gpus_that_are_missing_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was given eight and sees seven trains on seven, or hangs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 7)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu.gpus(7).state == gpu.gpus(0).state == "ok"
    assert (gpu.gpus(8).state, gpu.gpus(8).found) == ("fail", "7 visible, and 8 were asked for")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7")
    monkeypatch.setattr(gpu, "_has_hardware", lambda: True)
    assert (gpu.gpus(0).state, gpu.gpus(0).found) == ("fail", "7 visible, and 8 are named by CUDA_VISIBLE_DEVICES")


def test_a_variable_without_any_gpu_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for GPUs, as on a test cluster: training on the CPU is what is wanted there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(gpu, "_has_hardware", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert gpu.gpus(0).state == "warn"


def test_processes_need_a_library_to_communicate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some distributions build torch without it; the job would find out when all its machines have come."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.nccl().state == "ok"
    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: False)
    assert gpu.nccl().state == "fail"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: False)
    assert gpu.nccl().state == "fail"


def test_triton_needs_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slim container has none, and the first compiled step ends the job."""
    assert gpu.triton().state == "ok"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    assert (gpu.triton().state, gpu.triton().found) == ("warn", "absent")
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: name)
    install(tmp_path, monkeypatch)
    assert gpu.triton().found.endswith("without a C compiler")
    install(tmp_path, monkeypatch, gcc="true")
    assert gpu.triton().state == "ok"
