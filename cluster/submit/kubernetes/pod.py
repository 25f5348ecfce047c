"""The pod of a machine: what it may use, which storage and secrets it sees, and as whom it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import short
from videoar.cluster.submit.job import Job
from videoar.cluster.submit.variables import Variable, value_here

CONTAINER = "videoar"
GPU = "nvidia.com/gpu"

_USER = 1000
"""Not root. Images that have a user usually give it this number."""
_SECRET = re.compile(r"([a-z0-9][a-z0-9.-]*)(?:/([A-Za-z0-9._-]+))?")
_VOLUME = re.compile(r"([a-z0-9][a-z0-9.-]*):(/[A-Za-z0-9._/-]+)")


def pod(job: Job, command: Sequence[str], *, container: str = CONTAINER, extra: Sequence[Any] = ()) -> dict[str, Any]:
    """The specification of a pod whose one container runs the command; `extra` are further variables.

    Without a command the container runs what the operator gives it.
    """
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": job.notice_s,
        "automountServiceAccountToken": bool(job.service_account),
        **({"serviceAccountName": job.service_account} if job.service_account else {}),
        **({"priorityClassName": job.qos} if job.qos else {}),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, container, command, extra)],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": job.shm}},
            *({"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim, _ in volumes(job)),
        ],
    }


def volumes(job: Job) -> Iterator[tuple[str, str]]:
    """Claims and the folders where they are mounted."""
    for word in job.volumes:
        found = _VOLUME.fullmatch(word)
        if not found:
            raise InputError("volumes", short(repr(word)), "is not a claim and its folder", "write CLAIM:/folder")
        yield found[1], found[2]


def work_folder(job: Job) -> str | None:
    """Where relative paths begin: the first volume's folder; None: the image's own."""
    return next((folder for _, folder in volumes(job)), None)


def _container(job: Job, name: str, command: Sequence[str], extra: Sequence[Any]) -> dict[str, Any]:
    folder = work_folder(job)
    return {
        "name": name,
        "image": job.image,
        **({"command": list(command)} if command else {}),
        **({"workingDir": folder} if folder else {}),
        "env": [*extra, {"name": "HOME", "value": "/tmp"}, *map(_variable, job.environment)],
        "resources": _resources(job),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "shm", "mountPath": "/dev/shm"},
            *({"name": claim, "mountPath": place} for claim, place in volumes(job)),
        ],
    }


def _resources(job: Job) -> dict[str, Any]:
    """Requests equal limits: on a machine whose memory is promised twice, a job is killed when both use it."""
    amounts = {
        "cpu": str(job.cpus or job.processes),
        **({"memory": job.memory} if job.memory else {}),
        **({GPU: str(job.gpus)} if job.gpus else {}),
    }
    return {"requests": dict(amounts), "limits": dict(amounts)}


def _variable(given: Variable) -> dict[str, Any]:
    """A variable of the container; a secret is a reference to one of the cluster's."""
    if given.file is None:
        return {"name": given.name, "value": value_here(given, "SECRET/KEY, a secret of the cluster")}
    if not (found := _SECRET.fullmatch(given.file)):
        problem = "is not a secret of the cluster and its key"
        raise InputError("env", f"{given.name}=@{given.file}", problem, f"write {given.name}=@SECRET/KEY")
    reference = {"name": found[1], "key": found[2] or given.name}
    return {"name": given.name, "valueFrom": {"secretKeyRef": reference}}
