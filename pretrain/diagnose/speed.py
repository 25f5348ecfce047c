"""Where the time and memory of a step go."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch

from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.processes.health import read_standings
from videoar.cluster.ground.processes.stragglers import SLOWER, slowest
from videoar.pretrain.diagnose.evidence import Evidence, mean_of
from videoar.pretrain.run_folder import HEALTH

PEERS = "0.33 to 0.47"
"""MFU of published runs of 1 to 14 billion weights on one GPU type."""
GIB = 1 << 30


def data_wait(evidence: Evidence) -> Iterator[Finding]:
    """Devices that wait for samples are idle."""
    waited, total = mean_of(evidence.recent, "data_wait"), mean_of(evidence.recent, "step_s")
    if waited is None or not total:
        yield Finding(name="data wait", state="skip", found="no times were recorded")
        return
    share = waited / total
    yield Finding(
        name="data wait",
        state="fail" if share > 0.5 else "warn" if share > 0.1 else "ok",
        found=f"{share:.1%} of a step of {total:.2f} s",
        figures={"share": share, "step_s": total},
        remedy=""
        if share <= 0.1
        else "raise loader.read_threads and loader.prefetch_steps, put loader.cache_dir on a local disk, and leave "
        "one CPU core for each process to reading",
    )


def communication(evidence: Evidence) -> Iterator[Finding]:
    """Time in collectives, measured every `log.profile_every` steps."""
    measured = [record for record in evidence.records if record.get("communication") is not None]
    if not measured:
        yield Finding(
            name="communication", state="skip", found="not measured: there is one process, or log.profile_every is 0"
        )
        return
    share = sum(record["communication"] for record in measured) / sum(record["step_s"] for record in measured)
    yield Finding(
        name="communication",
        state="warn" if share > 0.3 else "ok",
        found=f"{share:.1%} of {len(measured)} steps",
        remedy="keep parallel.tensor within one NVLink domain, or raise stages.NAME.batch" if share > 0.3 else "",
        figures={"share": share},
    )


def stragglers(evidence: Evidence) -> Iterator[Finding]:
    """The process that works longest in a step: all others wait for it. Measured with the collectives."""
    folder = evidence.run / HEALTH
    found = slowest([one.work() for one in read_standings(folder, len(list(folder.glob("*.json"))))])
    noted = [event for event in evidence.events if event["event"] == "straggler"]
    if found is None:
        yield Finding(
            name="stragglers",
            state="skip",
            found="there is one process, or fewer than three steps were measured (log.profile_every)",
        )
        return
    is_slow = found.factor >= SLOWER
    earlier = "; events.jsonl names earlier ones" if noted and not is_slow else ""
    yield Finding(
        name="stragglers",
        state="warn" if is_slow else "ok",
        found=f"{found.describe()}{earlier}",
        remedy=f"look at {found.host}: clocks and temperature of its GPU, other programs, its disk; or leave it out"
        if is_slow
        else "",
        figures={"rank": found.rank, "factor": found.factor, "seconds": found.seconds, "others": found.others},
    )


def utilisation(evidence: Evidence) -> Iterator[Finding]:
    """MFU, compared with published runs."""
    mfu = mean_of(evidence.recent, "mfu")
    if mfu is None:
        yield Finding(name="MFU", state="skip", found="the peak FLOP/s of this device is unknown")
        return
    yield Finding(
        name="MFU",
        state="warn" if mfu < 0.2 else "ok",
        found=f"{mfu:.3f}; published runs reach {PEERS}",
        remedy="use precision=bf16, parallel.compile=true, longer packs or less recomputation" if mfu < 0.2 else "",
        figures={"mfu": mfu},
    )


def fill(evidence: Evidence) -> Iterator[Finding]:
    """Padding costs as much as tokens and trains nothing."""
    share = mean_of(evidence.recent, "fill")
    if share is None:
        yield Finding(name="fill", state="skip", found="was not recorded")
        return
    stage = evidence.records[-1]["stage"]
    yield Finding(
        name="fill",
        state="warn" if share < 0.9 else "ok",
        found=f"{share:.1%} of the tokens of a pack are samples",
        remedy=f"choose stages.{stage}.tokens_per_pack near a multiple of a clip's tokens" if share < 0.9 else "",
        figures={"fill": share},
    )


def memory(evidence: Evidence) -> Iterator[Finding]:
    """The peak over all processes, compared with this machine: useful only if this machine is like those of the run."""
    peak = max((record.get("peak_memory") or 0 for record in evidence.records), default=0)
    if not peak:
        yield Finding(name="memory", state="skip", found="was not recorded")
        return
    share = peak / _capacity()
    yield Finding(
        name="memory",
        state="warn" if share > 0.92 else "ok",
        found=f"{peak / GIB:.1f} GiB at the peak, of {_capacity() / GIB:.0f} GiB on this machine",
        remedy="a longer pack would not fit: use parallel.recompute, a higher parallel.zero_stage or shorter packs"
        if share > 0.92
        else "",
        figures={"peak_bytes": peak, "share": share},
    )


def checkpoint_time(evidence: Evidence) -> Iterator[Finding]:
    """Time that the loop waited for checkpoints."""
    blocked = sum(record.get("checkpoint_blocked_s") or 0.0 for record in evidence.records)
    total = sum(record["step_s"] for record in evidence.records) + blocked
    share = blocked / total if total else 0.0
    yield Finding(
        name="saving",
        state="warn" if share > 0.05 else "ok",
        found=f"{share:.1%} of the time, {blocked:.1f} s in total",
        remedy="raise log.save_every" if share > 0.05 else "",
        figures={"share": share, "blocked_s": blocked},
    )


def _capacity() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
