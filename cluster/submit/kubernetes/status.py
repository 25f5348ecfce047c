"""The status of a JobSet or RayJob, from what kubectl reports as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, code_of_all
from videoar.cluster.submit.engine import State, Status

_RAY_STATES: dict[str, State] = {"SUCCEEDED": "done", "FAILED": "failed", "STOPPED": "cancelled", "RUNNING": "running"}
_EXIT_CODE = re.compile(r"exit code (\d+)")

GONE = Status(state="cancelled", detail="Kubernetes does not know the job: it was cancelled, or deleted after its end")


def of_job_set(found: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> Status:
    """A JobSet's status; the exit code is that of its pods."""
    status = found.get("status", {})
    true = {each["type"]: each for each in status.get("conditions", []) if each.get("status") == "True"}
    restarts = status.get("restarts", 0)
    again = [f"started again {restarts} times"] if restarts else []
    if "Completed" in true:
        return Status(state="done", detail=", ".join(["Completed", *again]), exit_code=0)
    if failed := true.get("Failed"):
        code = exit_code(pods)
        state: State = "preempted" if code == EXIT_PREEMPTED else "failed"
        return Status(state=state, detail=", ".join([_because("Failed", failed), *again]), exit_code=code)
    working = sum(each.get("active", 0) for each in status.get("replicatedJobsStatus", []))
    running = [each for each in pods if each.get("status", {}).get("phase") == "Running"]
    if working and running:
        return Status(state="running", detail=", ".join([f"{len(running)} pods run", *again]))
    return Status(state="queued", detail=", ".join([*_waiting(true, pods), *again]))


def of_ray_job(found: Mapping[str, Any]) -> Status:
    """A RayJob's status; the exit code is in the message that Ray wrote."""
    status = found.get("status", {})
    deployment, message = status.get("jobDeploymentStatus", ""), status.get("message", "")
    state = _RAY_STATES.get(status.get("jobStatus", ""), "queued")
    if deployment == "Failed" and state != "cancelled":
        state = "failed"
    text = (message.strip().splitlines() or [status.get("reason", "")])[0]
    detail = ": ".join(part for part in (deployment or "not seen by KubeRay yet", text) if part)
    code = _EXIT_CODE.search(message)
    if state == "failed" and code and int(code[1]) == EXIT_PREEMPTED:
        state = "preempted"
    known = int(code[1]) if code else (0 if state == "done" else None)
    return Status(state=state, detail=detail, exit_code=known if state in ("done", "failed", "preempted") else None)


def exit_code(pods: Sequence[Mapping[str, Any]]) -> int | None:
    """The exit code of all pods; None if no pod has ended."""
    codes = [
        container["state"]["terminated"]["exitCode"]
        for each in pods
        for container in _containers(each)
        if "terminated" in container.get("state", {})
    ]
    return code_of_all(codes)


def _containers(each: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = each.get("status", {}).get("containerStatuses", [])
    return found


def _because(word: str, condition: Mapping[str, Any]) -> str:
    return f"{word}: {condition.get('message') or condition.get('reason', '')}"


def _waiting(conditions: Mapping[str, Mapping[str, Any]], pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why the pods do not run yet: suspended by a queue, no machine is free, the image cannot be had."""
    if suspended := conditions.get("Suspended"):
        return [_because("Suspended", suspended)]
    reasons = {
        container["state"]["waiting"].get("message") or container["state"]["waiting"].get("reason", "")
        for each in pods
        for container in _containers(each)
        if "waiting" in container.get("state", {})
    }
    reasons |= {
        condition.get("message", "")
        for each in pods
        for condition in each.get("status", {}).get("conditions", [])
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
    }
    return sorted(reasons - {""})[:1] or ["no pod runs yet"]


def free_gpus(nodes: Sequence[Mapping[str, Any]], pods: Sequence[Mapping[str, Any]], resource: str) -> tuple[int, int]:
    """GPUs that are free and that there are, on machines that take jobs."""
    there = {
        node["metadata"]["name"]: int(node.get("status", {}).get("allocatable", {}).get(resource, 0))
        for node in nodes
        if not node.get("spec", {}).get("unschedulable")
    }
    used = sum(
        int(container.get("resources", {}).get("limits", {}).get(resource, 0))
        for each in pods
        if each["spec"].get("nodeName") in there and each.get("status", {}).get("phase") in ("Pending", "Running")
        for container in each["spec"]["containers"]
    )
    return sum(there.values()) - used, sum(there.values())
