"""The manifest of a job: a JobSet of one pod a machine, or a part, or a RayJob for what joins a Ray cluster."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.cluster.ground.versions import installed_version
from videoar.cluster.submit.job import ON_RAY, Job
from videoar.cluster.submit.kubernetes.pod import CONTAINER, pod, work_folder

_PORT = 29500
_FAILED = {"name": "failed", "action": "FailJobSet"}
_MACHINES = "machines"
_LONGEST_NAME = 40
"""Kubernetes adds to the name for its services and pods, whose names have at most 63 characters."""
_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
_KEPT_S = 3600
"""Seconds that the machines of a Ray cluster stay after its job has ended."""

_COMMENTS = {
    "metadata": "the name and labels that kubectl shows",
    "kueue.x-k8s.io/queue-name": "Kueue's queue (--partition)",
    "enableDNSHostnames": "a headless service: pods find the first one by its name",
    "publishNotReadyAddresses": "also before they are ready",
    "maxRestarts": "a failure ends the job",
    "restartStrategy": "all pods of a start are gone before those of the next",
    "action: RestartJobSetAndIgnoreMaxRestarts": "saved (75), or its machine was taken away: start again, not counted",
    "action: FailJobSet": "anything else",
    "onJobFailureReasons": "PodFailurePolicy: by one of the rules of podFailurePolicy below",
    "completionMode": "every pod has a number, which is that of its machine",
    "parallelism": "machines",
    "completions": "machines",
    "backoffLimit": "no pod is started again alone: the others would wait for it",
    "podReplacementPolicy": "when a pod has ended, not when it begins to",
    "activeDeadlineSeconds": "--time",
    "onExitCodes": f"{EXIT_PREEMPTED}: the command has saved and stopped before its end",
    "onPodConditions": "the machine is drained or preempted",
    "restartPolicy": "see podFailurePolicy",
    "terminationGracePeriodSeconds": "between SIGTERM and the end: time to save",
    "automountServiceAccountToken": "the command does not use the cluster's API",
    "runAsUser": "not root; the volumes must let this user write",
    "priorityClassName": "--qos",
    "workingDir": "relative paths are resolved here: the first of --volumes",
    "secretKeyRef": "the value is in the cluster, not in this file",
    "name: HOME": "libraries keep caches there",
    "sizeLimit": "/dev/shm, for processes that share memory (--shm)",
    "persistentVolumeClaim": "storage (--volumes)",
    "entrypoint": "runs on the head",
    "submissionMode": "a pod submits it to the head, and prints its log",
    "shutdownAfterJobFinishes": "the cluster is for this job only",
    "ttlSecondsAfterFinished": "then its machines are given back",
    "authOptions": "the operator makes a token, which every user of the cluster needs",
    "num-cpus": "no work on the head, whose loss would end the job",
    "replicas": "machines, or groups of them",
}
"""What a line means, by its key or by its key and value."""
_COMMENTS_OF_PARTS = {
    "completionMode": "every pod has a number, JOB_COMPLETION_INDEX: that of its part, from 0",
    "parallelism": "parts at work at once, where machines are free (--array)",
    "completions": "parts",
    "backoffLimitPerIndex": "a part that fails is not tried again; the others continue",
    "action: Ignore": "start the part again, not counted",
    "action: FailIndex": "do not start the part again (--requeues 0)",
    "replicas": "one job of all parts",
}
"""The same in the manifest of an array."""

_KEY = re.compile(r"\s*(?:- )?((?:[\w./-]+)): ?(.*)")


def kind(command: str) -> str:
    """The kind of object, as kubectl names it."""
    return "rayjob" if command in ON_RAY else "jobset"


def object_name(job: Job) -> str:
    """The job's name in the characters of a domain."""
    name = re.sub(r"[^a-z0-9]+", "-", job.name.lower()).strip("-")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or len(name) > _LONGEST_NAME:
        problem = f"cannot be a name on Kubernetes: it begins with a letter and has at most {_LONGEST_NAME} characters"
        raise InputError("name", job.name, problem, "give another --name")
    return name


def manifest(job: Job, path: str) -> str:
    """The manifest as YAML, each line explained."""
    made = _ray_job(job) if job.command in ON_RAY else _job_set(job)
    text = yaml.safe_dump(made, sort_keys=False, width=10_000, allow_unicode=True)
    title = f"# {job.name}: videoar {job.command}\n# Made by `videoar submit`. Change what you like, and send it with: "
    comments = _COMMENTS | (_COMMENTS_OF_PARTS if job.array is not None else {})
    explained = "".join(_explained(line, comments) for line in text.splitlines())
    return f"{title}kubectl apply --filename {path}\n{explained}"


def _explained(line: str, comments: Mapping[str, str]) -> str:
    found = _KEY.fullmatch(line)
    meaning = found and (comments.get(f"{found[1]}: {found[2]}") or comments.get(found[1]))
    return f"{line}  # {meaning}\n" if meaning else f"{line}\n"


def _metadata(job: Job) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "videoar"}
    if job.partition:
        labels["kueue.x-k8s.io/queue-name"] = job.partition
    return {"name": object_name(job), **({"namespace": job.place} if job.place else {}), "labels": labels}


def _job_set(job: Job) -> dict[str, Any]:
    """One pod a machine, or one a part of an array."""
    name, spec, policy = _machines(job) if job.array is None else _parts(job)
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": _metadata(job),
        "spec": {
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "failurePolicy": {"maxRestarts": 0, **policy},
            "replicatedJobs": [{"name": name, "replicas": 1, "template": {"spec": spec}}],
        },
    }


def _machines(job: Job) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Pods that meet at the first one, and what follows their failure: after 75 all start again."""
    again = "RestartJobSetAndIgnoreMaxRestarts" if job.requeues else "FailJobSet"
    rules = [{"name": "saved", "action": again, "onJobFailureReasons": ["PodFailurePolicy"]}, _FAILED]
    spec = _indexed(job, job.nodes, {"backoffLimit": 0}, "FailJob", pod(job, job.program, extra=_meeting(job)))
    return _MACHINES, spec, {"restartStrategy": "BlockingRecreate", "rules": rules}


def _parts(job: Job) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Pods that know nothing of each other: after 75 each starts again alone, and a failure leaves the others."""
    assert job.array is not None
    line = f'exec "$@" {job.part("$((JOB_COMPLETION_INDEX + 1))")}'
    command = ["sh", "-c", line, "sh", *job.program]
    again = "Ignore" if job.requeues else "FailIndex"
    return (
        "parts",
        _indexed(job, job.array, {"backoffLimitPerIndex": 0}, again, pod(job, command)),
        {"rules": [_FAILED]},
    )


def _indexed(job: Job, count: int, limit: dict[str, int], again: str, of_one: dict[str, Any]) -> dict[str, Any]:
    """Numbered pods; `again` is what happens after 75, and after a machine was taken away."""
    saved = {"containerName": CONTAINER, "operator": "In", "values": [EXIT_PREEMPTED]}
    return {
        "parallelism": count,
        "completions": count,
        "completionMode": "Indexed",
        **limit,
        "podReplacementPolicy": "Failed",
        # When this time is over, the pods receive a signal, and have `notice_s` to save.
        **({"activeDeadlineSeconds": job.wall_s - job.notice_s} if job.wall_s is not None else {}),
        "podFailurePolicy": {
            "rules": [
                {"action": again, "onExitCodes": saved},
                {"action": again, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        "template": {"spec": of_one},
    }


def _meeting(job: Job) -> list[dict[str, Any]]:
    """Where the agents of the machines meet; one machine needs none."""
    if job.nodes == 1:
        return []
    name = object_name(job)
    return [
        {"name": "NNODES", "value": str(job.nodes)},
        {"name": "NODE_RANK", "valueFrom": {"fieldRef": {"fieldPath": _INDEX}}},
        {"name": "MASTER_ADDR", "value": f"{name}-{_MACHINES}-0-0.{name}"},
        {"name": "MASTER_PORT", "value": str(_PORT)},
    ]


def _ray_job(job: Job) -> dict[str, Any]:
    """A Ray cluster for one command: a head that runs it, and machines for its actors."""
    folder, command = work_folder(job), shlex.join(job.program)
    head = replace(job, gpus=0, cpus=1, memory="4Gi")
    submitter = pod(replace(head, memory="1Gi", volumes=(), environment=()), (), container="ray-job-submitter")
    group = {"groupName": _MACHINES, "replicas": job.nodes, "minReplicas": job.nodes, "maxReplicas": job.nodes}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": _metadata(job),
        "spec": {
            "entrypoint": f"cd {shlex.quote(folder)} && exec {command}" if folder else command,
            "submissionMode": "K8sJobMode",
            "backoffLimit": 0,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": _KEPT_S,
            **({"activeDeadlineSeconds": job.wall_s} if job.wall_s is not None else {}),
            "submitterPodTemplate": {"spec": submitter},
            "rayClusterSpec": {
                **_ray_version(),
                "authOptions": {"mode": "token"},
                "headGroupSpec": {
                    "rayStartParams": {"num-cpus": "0"},
                    "template": {"spec": _of_ray(pod(head, (), container="ray-head"))},
                },
                "workerGroupSpecs": [
                    {**group, "rayStartParams": {}, "template": {"spec": _of_ray(pod(job, (), container="ray-worker"))}}
                ],
            },
        },
    }


def _of_ray(made: dict[str, Any]) -> dict[str, Any]:
    """KubeRay replaces a pod that ends; it sets the policy of restarts itself."""
    return {key: value for key, value in made.items() if key != "restartPolicy"}


def _ray_version() -> dict[str, str]:
    """The version here, which is that of the image if both are installed from the same constraints."""
    installed = installed_version("ray")
    return {"rayVersion": installed} if installed else {}
