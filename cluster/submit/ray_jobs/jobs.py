"""Ray Jobs: sends a line to the head of a cluster that runs, and asks it about jobs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from videoar.cluster.ground.errors import InputError, Stopped
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.finding import State as FindingState
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.cluster.ground.versions import installed_version
from videoar.cluster.submit.engine import ENDED, Check, Engine, Rendered, State, Status
from videoar.cluster.submit.follow import POLL_S
from videoar.cluster.submit.job import ON_RAY, Job
from videoar.cluster.submit.ray_jobs.api import RayApi
from videoar.cluster.submit.ray_jobs.script import cpus, entrypoint, script, script_path
from videoar.cluster.submit.record import Submitted
from videoar.cluster.submit.refuse import refuse_options

_STATES: dict[str, State] = {
    "PENDING": "queued",
    "RUNNING": "running",
    "STOPPED": "cancelled",
    "SUCCEEDED": "done",
    "FAILED": "failed",
}
_REFUSED = {
    "time_limit": "leave it out: a Ray Job has no time limit",
    **dict.fromkeys(("partition", "account", "qos", "flags", "memory", "service_account", "volumes"), "leave it out"),
    "image": "start the cluster in that image",
}


class RayJobs(Engine):
    """The cluster at --dashboard or RAY_ADDRESS."""

    name = "ray"

    def place(self, job: Job) -> str:
        return RayApi.at(job.place).address

    def render(self, job: Job) -> Rendered:
        refuse_options(job, "Ray", {**_REFUSED, "array": _instead_of_array(job)})
        if job.command in ON_RAY and job.nodes > 1:
            raise InputError("nodes", job.nodes, "has no effect: the job uses the whole cluster", "give --data.actors")
        words = ("ray", "job", "submit", "--address", self.place(job), "--no-wait", "--", entrypoint(job))
        return Rendered(files={script_path(job): script(job)}, command=words)

    def checks(self, job: Job, rendered: Rendered) -> Sequence[Check]:
        api = RayApi.at(job.place)
        return [lambda: _reached(api, job), lambda: _room(api, job)]

    def send(self, job: Job, rendered: Rendered) -> str:
        body = {"entrypoint": rendered.command[-1], "metadata": {"name": job.name}}
        answer = RayApi.at(job.place).ask("jobs/", body, post=True)
        return str(answer["submission_id"])

    def log_files(self, job: Job, identifier: str) -> tuple[str, ...]:
        return ()

    def status(self, submitted: Submitted) -> Status:
        return status_of(RayApi.at(submitted.place).ask(f"jobs/{submitted.job}"))

    def logs(self, submitted: Submitted, *, follow: bool) -> Iterator[str]:
        shown = 0
        while True:
            # Checked before reading, so that no text from before the end is missed.
            over = not follow or self.status(submitted).state in (*ENDED, "unknown")
            answer = RayApi.at(submitted.place).ask(f"jobs/{submitted.job}/logs")
            text = str(answer["logs"]) if answer else ""
            yield text[shown:]
            shown = len(text)
            if over:
                return
            time.sleep(POLL_S)

    def cancel(self, submitted: Submitted) -> None:
        if RayApi.at(submitted.place).ask(f"jobs/{submitted.job}/stop", post=True) is None:
            raise Stopped(f"Ray at {submitted.place} does not know the job {submitted.job}")


def _instead_of_array(job: Job) -> str:
    if job.command in ON_RAY:
        return "leave it out: data.actors says how many share the work"
    return "submit each part as a job: --part 1/8 --name part1, and so on"


def status_of(answer: dict[str, Any] | None) -> Status:
    """A job's status from what the Jobs API reports; None if it does not know the job."""
    if answer is None:
        return Status(state="unknown", detail="Ray does not know the job: its head has been started again")
    code = answer.get("driver_exit_code")
    state = _STATES.get(answer["status"], "unknown")
    if state == "failed" and code == EXIT_PREEMPTED:
        state = "preempted"
    detail = (str(answer.get("message") or "").strip().splitlines() or [""])[0]
    return Status(state=state, detail=f"{answer['status']}: {detail}", exit_code=code)


def _reached(api: RayApi, job: Job) -> Finding:
    """Whether the cluster answers, takes the token, and has the Ray that the job imports."""
    answer = api.ask("version")
    if not isinstance(answer, dict) or "ray_version" not in answer:
        raise InputError("dashboard", api.address, "is not Ray's dashboard", "give that of the cluster's head")
    theirs, ours = answer["ray_version"], _installed()
    if ours is None:
        return Finding(name="Ray", state="skip", found=f"{theirs} at {api.address}; ray is not installed here")
    if ours == theirs:
        return Finding(name="Ray", state="ok", found=f"{theirs} at {api.address}")
    if job.python == sys.executable:
        raise InputError(
            "dashboard", api.address, f"runs Ray {theirs}, and this environment has {ours}, which cannot join it",
            f"install ray=={theirs}, or give the --venv that the cluster runs in",
        )  # fmt: skip
    return Finding(name="Ray", state="warn", found=f"{theirs} at {api.address}, {ours} here")


def _installed() -> str | None:
    return installed_version("ray")


def _room(api: RayApi, job: Job) -> Finding:
    """CPUs and GPUs that are free now, of those that the cluster has."""
    if job.command in ON_RAY:
        return Finding(name="free", state="skip", found="the command itself checks data.actors against the cluster")
    usage = usage_of(api.ask("cluster_status"))
    if usage is None:
        return Finding(name="free", state="skip", found="the cluster has not reported its resources yet")
    state: FindingState = "ok"
    found = []
    for name, each in (("CPU", cpus(job)), ("GPU", job.gpus)):
        used, there = usage.get(name, (0.0, 0.0))
        if each:
            found.append(f"{there - used:g} of {there:g} {name}s are free now, {each * job.nodes} are asked for")
            state = "warn" if each * job.nodes > there - used else state
    return Finding(name="free", state=state, found="; ".join(found))


def usage_of(answer: dict[str, Any] | None) -> dict[str, tuple[float, float]] | None:
    """What is used and what there is of each resource, from what the dashboard reports; None if it does not say."""
    try:
        usage = answer["data"]["clusterStatus"]["loadMetricsReport"]["usage"]  # type: ignore[index]
    except (KeyError, TypeError):
        return None
    return {name: (float(used), float(there)) for name, (used, there) in usage.items()}
