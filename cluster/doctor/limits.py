"""Disk, memory and the limits that the system sets to a process."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.processes.surroundings import LEAST_FILES

GIB = 1 << 30
LEAST_DISK = 1 * GIB
ENOUGH_DISK = 5 * GIB
ENOUGH_SHARED = GIB // 4
ENOUGH_FILES = 1024
LEAST_PROCESSES, ENOUGH_PROCESSES = 256, 4096
"""Each of our processes has about 50 threads, which count as well; Ray starts one process for each core."""
ENOUGH_LOCKED = 8 * GIB
INFINIBAND = Path("/sys/class/infiniband")
PIDS = Path("/sys/fs/cgroup/pids.max")
SHARED = Path("/dev/shm")


def disk(folder: Path) -> Finding:
    """Free space, and whether a file can be written, in the place of a run or of shards."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free in {folder}"
    remedy = "free some space, or give --run and --output on another disk"
    if not os.access(folder, os.W_OK | os.X_OK):
        return failed("disk", f"{folder} cannot be written", "start in a folder that you can write", free_bytes=free)
    if free < LEAST_DISK:
        return failed("disk", found, remedy, free_bytes=free)
    return ok("disk", found, free_bytes=free) if free >= ENOUGH_DISK else warned("disk", found, remedy, free_bytes=free)


def shared_memory() -> Finding:
    """Free space in /dev/shm, where Ray and NCCL exchange data; containers often have only 64 MiB."""
    if not SHARED.is_dir():
        return warned("shared memory", f"no {SHARED}", "start the container with --shm-size=1g or more")
    free = shutil.disk_usage(SHARED).free
    if free < ENOUGH_SHARED:
        remedy = "start the container with --shm-size=1g or more"
        return warned("shared memory", f"{free >> 20} MiB free in {SHARED}", remedy, free_bytes=free)
    return ok("shared memory", f"{free / GIB:.1f} GiB free in {SHARED}", free_bytes=free)


def open_files() -> Finding:
    """The limit of open files: Ray, loaders and connections to other processes hold many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found, remedy = f"limit {soft} (at most {hard})", "ulimit -n 65536"
    if hard < LEAST_FILES:
        return failed("open files", found, "ask the administrator for 65536 (LimitNOFILE)", limit=soft)
    if soft < ENOUGH_FILES:
        return warned("open files", found, remedy, limit=soft)
    return ok("open files", f"limit {soft}", limit=soft)


def processes() -> Finding:
    """The limit of processes and threads, of the user and of the container."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    limits = [number for number in (soft, _of_container()) if number >= 0]
    if not limits or min(limits) >= ENOUGH_PROCESSES:
        return ok("processes", f"limit {min(limits)}" if limits else "no limit")
    least = min(limits)
    remedy = "ulimit -u 65536, or start the container with --pids-limit=-1"
    make = failed if least < LEAST_PROCESSES else warned
    return make("processes", f"limit {least}, of threads too", remedy, limit=least)


def locked_memory() -> Finding:
    """RDMA registers memory that must stay in place; where this is limited, NCCL fails or falls back to TCP."""
    adapters = sorted(entry.name for entry in INFINIBAND.iterdir()) if INFINIBAND.is_dir() else []
    if not adapters:
        return ok("locked memory", "no RDMA adapter needs it")
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    named = f"{len(adapters)} RDMA adapters ({', '.join(adapters[:3])})"
    if soft < 0 or soft >= ENOUGH_LOCKED:
        return ok("locked memory", f"enough for {named}", adapters=adapters)
    remedy = "ulimit -l unlimited; under Slurm LimitMEMLOCK=infinity of slurmd, in a container --ulimit memlock=-1"
    return failed("locked memory", f"limit {soft >> 10} KiB with {named}", remedy, limit_bytes=soft, adapters=adapters)


def _of_container() -> int:
    """Most processes of this control group; -1 if there is no limit."""
    try:
        word = PIDS.read_text().strip()
    except OSError:
        return -1
    return int(word) if word.isdigit() else -1
