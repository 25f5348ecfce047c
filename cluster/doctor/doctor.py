"""Checks of what this machine can do: a list of findings, each ok, warn or fail, with the remedy."""

from __future__ import annotations

import importlib.metadata
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import av
import torch

from videoar.cluster.doctor.store import listeners, store
from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.process import variable
from videoar.cluster.ground.surroundings import check_loopback

DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg")
GIB = 1 << 30


def examine(url: str | None = None) -> list[Finding]:
    """Run every check in turn, and that of the store at `url` if one is given; nothing is changed."""
    checks: list[Callable[[], Finding]] = [
        torch_device,
        bf16,
        attention,
        decoders,
        megatron,
        deepspeed,
        ray,
        disk,
        shared_memory,
        open_files,
        loopback,
        listeners,
        wandb,
    ]
    return [check() for check in checks] + ([store(url)] if url else [])


def torch_device() -> Finding:
    """The device that a training run would use."""
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        found = f"{torch.cuda.device_count()} x {gpu.name}, {gpu.total_memory / GIB:.0f} GiB, CUDA {torch.version.cuda}"
        return Finding(name="torch", state="ok", found=f"{torch.__version__}, {found}")
    return Finding(
        name="torch",
        state="warn",
        found=f"{torch.__version__}, no GPU",
        remedy="small recipes run on the CPU; larger ones need a CUDA device and its driver",
    )


def bf16() -> Finding:
    """Whether a bfloat16 product is right. It is computed, because what the hardware reports may be wrong."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    one = torch.ones(16, 16, dtype=torch.bfloat16, device=device)
    if not torch.equal(one @ one, 16 * one):
        return Finding(name="bf16", state="fail", found="wrong product", remedy="use precision=float32")
    return Finding(name="bf16", state="ok", found=f"computed on the {device}")


def attention() -> Finding:
    """Which attention `parallel.attention=auto` is here. It is computed and compared with the reference."""
    from videoar.pretrain.model.attention.selfcheck import selfcheck

    remedy = "train with --parallel.attention reference"
    try:
        check = selfcheck(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        return Finding(name="attention", state="fail", found=str(error).splitlines()[0], remedy=remedy)
    differs, allowed = f"{check.error:.0e}", f"{check.allowed:.0e}"
    found = f"{check.kernels}: in bf16 at most {differs} from the float64 reference, allowed {allowed}"
    if check.error <= check.allowed:
        return Finding(name="attention", state="ok", found=found)
    return Finding(name="attention", state="fail", found=found, remedy=remedy)


def decoders() -> Finding:
    """Video codecs that PyAV can read."""
    missing = [name for name in DECODERS if name not in av.codecs_available]
    if missing:
        return Finding(
            name="decoders",
            state="warn",
            found=f"PyAV {av.__version__} without {', '.join(missing)}",
            remedy="install the PyAV wheel (pip install av), or convert such clips",
        )
    return Finding(name="decoders", state="ok", found=f"PyAV {av.__version__}: {', '.join(DECODERS)}")


def megatron() -> Finding:
    """Megatron-core, needed to train in several processes."""
    return _imports("megatron.core", "megatron-core", "train")


def deepspeed() -> Finding:
    """DeepSpeed, needed to train in several processes (parallel.zero_stage 0 to 3) or under ZeRO in one."""
    return _imports("deepspeed", "deepspeed", "train")


def ray() -> Finding:
    """Ray, needed by `videoar data run`."""
    return _imports("ray", "ray", "data")


def disk() -> Finding:
    """Free space for shards and checkpoints in the current folder."""
    free = shutil.disk_usage(Path.cwd()).free / GIB
    state: Literal["ok", "warn"] = "ok" if free >= 5 else "warn"
    remedy = "" if state == "ok" else "free some space, or give --run and --output on another disk"
    return Finding(name="disk", state=state, found=f"{free:.1f} GiB free in {Path.cwd()}", remedy=remedy)


def shared_memory() -> Finding:
    """Free space in /dev/shm, where Ray keeps objects; containers often have only 64 MiB."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Finding(name="shared memory", state="warn", found="no /dev/shm", remedy="Ray falls back to /tmp")
    free = shutil.disk_usage(folder).free / GIB
    if free < 0.25:
        return Finding(
            name="shared memory",
            state="warn",
            found=f"{free * 1024:.0f} MiB free in /dev/shm",
            remedy="start the container with --shm-size=1g or more",
        )
    return Finding(name="shared memory", state="ok", found=f"{free:.1f} GiB free in /dev/shm")


def open_files() -> Finding:
    """The limit of open files: Ray and loaders hold many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1024:
        return Finding(
            name="open files", state="warn", found=f"limit {soft} (at most {hard})", remedy="ulimit -n 65536"
        )
    return Finding(name="open files", state="ok", found=f"limit {soft}")


def loopback() -> Finding:
    """127.0.0.1, where the processes that one machine starts meet."""
    try:
        check_loopback()
    except Stopped as error:
        found, _, remedy = str(error).partition("; ")
        return Finding(name="loopback", state="fail", found=found, remedy=remedy)
    return Finding(name="loopback", state="ok", found="processes of this machine reach each other")


def wandb() -> Finding:
    """The mode that log.wandb=online would use; the key itself is not shown."""
    mode = variable("WANDB_MODE") or ("online" if variable("WANDB_API_KEY") else "offline: no key")
    return Finding(name="wandb", state="ok", found=f"{_version('wandb')}, {mode}")


def _imports(module: str, distribution: str, extra: str) -> Finding:
    """Import a library in a separate process: a broken installation has a version too, and may crash."""
    done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Finding(
            name=distribution,
            state="fail",
            found=errors[-1][:120],
            remedy=f"pip install -c constraints.txt -e '.[{extra}]'",
        )
    return Finding(name=distribution, state="ok", found=_version(distribution))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
