"""GPUs, their driver and the libraries that need them."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import torch

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.doctor.libraries import version
from videoar.cluster.doctor.programs import answer_of
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.process import variable

LEAST_DRIVERS = {11: (450, 80), 12: (525, 60), 13: (580, 65)}
"""Oldest Linux driver for each major version of CUDA (NVIDIA's table of minor version compatibility)."""

GIB = 1 << 30
_SMI_S = 30.0


def torch_device() -> Finding:
    """The device that a training run would use."""
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        found = f"{torch.cuda.device_count()} x {gpu.name}, {gpu.total_memory / GIB:.0f} GiB, CUDA {torch.version.cuda}"
        return ok("torch", f"{torch.__version__}, {found}", cuda=torch.version.cuda)
    remedy = "small recipes run on the CPU; larger ones need a CUDA device and its driver"
    return warned("torch", f"{torch.__version__}, no GPU", remedy)


def gpus(asked: int) -> Finding:
    """GPUs that torch sees, compared with those that were asked for or that the scheduler has given."""
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    given = [word for word in (variable("CUDA_VISIBLE_DEVICES") or "").split(",") if word.strip() not in ("", "-1")]
    wanted, figures = asked or len(given), {"seen": seen, "asked": asked, "given": len(given)}
    if seen >= wanted:
        return ok("GPUs", f"{seen} visible" + (f", {wanted} asked for" if wanted else ""), **figures)
    by = "were asked for" if asked else "are named by CUDA_VISIBLE_DEVICES"
    found = f"{seen} visible, and {wanted} {by}"
    if not asked and not _has_hardware() and torch.version.cuda is None:
        return warned("GPUs", found, "unset CUDA_VISIBLE_DEVICES: this machine has none", **figures)
    remedy = "compare with `nvidia-smi`; ask the scheduler for them (--gpus-per-node), and see the line `driver`"
    return failed("GPUs", found, remedy, **figures)


def driver(wheel: str | None) -> Finding:
    """NVIDIA's driver, compared with the CUDA that the torch wheel was built for (None: for CPUs)."""
    program = shutil.which("nvidia-smi")
    if program is None:
        has_gpu = torch.cuda.is_available()
        return ok("driver", "nvidia-smi is not installed" + ("" if has_gpu else ", and no GPU is used"))
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = answer_of(*query, limit_s=_SMI_S)
    said = (done.stdout.strip() or done.stderr.strip() or "nothing").splitlines()[0]
    number = tuple(int(part) for part in said.split(".") if part.isdecimal())
    if done.returncode or len(number) < 2:
        return failed(
            "driver", f"nvidia-smi says: {said[:120]}", "reload or reinstall the driver; leave this machine out"
        )
    if wheel is None:
        remedy = "install torch for CUDA: https://pytorch.org/get-started/locally"
        return failed("driver", f"{said}, but this torch is built for CPUs only", remedy, driver=said)
    least = LEAST_DRIVERS.get(int(wheel.split(".")[0]), (0, 0))
    if number[:2] < least:
        needed = ".".join(map(str, least))
        remedy = f"install driver {needed} or newer, or torch for an older CUDA"
        return failed("driver", f"{said} is too old for CUDA {wheel}", remedy, driver=said, cuda=wheel)
    return ok("driver", f"{said}, for CUDA {wheel}", driver=said, cuda=wheel)


def nccl() -> Finding:
    """NCCL, the library of collectives between GPUs; between CPUs it is gloo."""
    if not torch.cuda.is_available():
        if torch.distributed.is_gloo_available():
            return ok("NCCL", "not needed without a GPU: gloo")
        return failed("NCCL", "this torch has neither NCCL nor gloo", "install a torch wheel of pytorch.org")
    if not torch.distributed.is_nccl_available():
        return failed("NCCL", "this torch has no NCCL", "install a torch wheel of pytorch.org for CUDA")
    number = ".".join(map(str, torch.cuda.nccl.version()))
    return ok("NCCL", number, version=number)


def triton() -> Finding:
    """Triton compiles the kernels of flex attention and of torch.compile on a GPU, with a C compiler."""
    if not torch.cuda.is_available():
        return ok("triton", "not needed without a GPU")
    if importlib.util.find_spec("triton") is None:
        return warned("triton", "absent", "install it for parallel.compile and parallel.attention=flex")
    if not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")):
        remedy = "install gcc, or do without parallel.compile and parallel.attention=flex"
        return warned("triton", f"{version('triton')}, without a C compiler", remedy)
    return ok("triton", version("triton"))


def _has_hardware() -> bool:
    """Whether there is an NVIDIA GPU, whatever torch can do with it."""
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
