"""Kubernetes: applies a manifest, and asks kubectl about jobs."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from videoar.cluster.ground.errors import InputError, Stopped
from videoar.cluster.ground.finding import Finding
from videoar.cluster.submit.engine import ENDED, Check, Engine, Rendered, Status, compared_gpus
from videoar.cluster.submit.follow import POLL_S
from videoar.cluster.submit.job import ON_RAY, Job
from videoar.cluster.submit.kubernetes.manifest import kind, manifest, object_name
from videoar.cluster.submit.kubernetes.pod import GPU
from videoar.cluster.submit.kubernetes.status import GONE, free_gpus, of_job_set, of_ray_job
from videoar.cluster.submit.programs import Answer, ask
from videoar.cluster.submit.record import Submitted
from videoar.cluster.submit.refuse import refuse_options

_JOB_SET_LABEL = "jobset.sigs.k8s.io/jobset-name"
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_REFUSED = {
    "account": "leave it out",
    "flags": "write the manifest with --dry-run, and change it",
    "container": "leave it out: the cluster opens the image",
}
_REFUSED_ON_RAY = {"array": "leave it out: --nodes and data.actors say how many share the work"}


class Kubernetes(Engine):
    """The cluster of kubectl's current context."""

    name = "kubernetes"

    def render(self, job: Job) -> Rendered:
        refuse_options(job, "Kubernetes", _REFUSED | (_REFUSED_ON_RAY if job.command in ON_RAY else {}))
        if not job.image:
            raise InputError("image", "''", "is needed on Kubernetes", "give an image that has videoar installed")
        if job.place and not _NAMESPACE.fullmatch(job.place):
            raise InputError("namespace", job.place, "is not the name of a namespace", "see `kubectl get namespaces`")
        path = f"{job.jobs}/{object_name(job)}.manifest.yml"
        return Rendered(files={path: manifest(job, path)}, command=("kubectl", "apply", "--filename", path))

    def checks(self, job: Job, rendered: Rendered) -> Sequence[Check]:
        (text,) = rendered.files.values()
        gpus = [lambda: _free_gpus(job)] if job.gpus else []
        return [lambda: _storage(job), lambda: _new(job), lambda: _accepted(text), *gpus]

    def send(self, job: Job, rendered: Rendered) -> str:
        answer = ask(*rendered.command, folder=job.folder)
        if answer.code:
            raise Stopped(f"kubectl apply failed: {answer.line}")
        return object_name(job)

    def log_files(self, job: Job, identifier: str) -> tuple[str, ...]:
        return ()

    def status(self, submitted: Submitted) -> Status:
        of_kind, space = _kind(submitted), _space(submitted.place)
        found = _json("get", of_kind, submitted.job, "--ignore-not-found", *space)
        if found is None:
            return GONE
        if of_kind == "rayjob":
            return of_ray_job(found)
        pods = _json("get", "pods", f"--selector={_JOB_SET_LABEL}={submitted.job}", *space)
        return of_job_set(found, pods["items"] if pods else [])

    def logs(self, submitted: Submitted, *, follow: bool) -> Iterator[str]:
        since: list[str] = []
        while True:
            state = self.status(submitted).state
            if state not in ("queued", "unknown"):
                yield from _stream(submitted, [*since, *(["--follow"] if follow else [])])
                since = [f"--since-time={_now()}"]  # the pods of the next start write from then on
            if not follow or state in ENDED:
                return
            time.sleep(POLL_S)

    def cancel(self, submitted: Submitted) -> None:
        answer = ask("kubectl", "delete", _kind(submitted), submitted.job, "--wait=false", *_space(submitted.place))
        if answer.code:
            raise Stopped(f"kubectl delete failed: {answer.line}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _kind(submitted: Submitted) -> str:
    return kind(" ".join(submitted.command[:2]))


def _space(place: str) -> list[str]:
    return ["--namespace", place] if place else []


def _stream(submitted: Submitted, words: Sequence[str]) -> Iterator[str]:
    """Lines of the pods as kubectl gives them."""
    if _kind(submitted) == "rayjob":
        place = [f"job/{submitted.job}"]
    else:
        place = [f"--selector={_JOB_SET_LABEL}={submitted.job}", "--prefix", "--tail=-1", "--max-log-requests=1000"]
    command = ["kubectl", "logs", *place, *words, *_space(submitted.place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stdout is not None
        yield from process.stdout


def _json(*words: str) -> Any:
    """What kubectl answers; None for nothing. Stopped if it fails."""
    answer = ask("kubectl", *words, "--output=json")
    if answer.code:
        raise Stopped(f"kubectl {words[0]} {words[1]} failed: {answer.line}")
    return json.loads(answer.out) if answer.out.strip() else None


def _storage(job: Job) -> Finding:
    if job.volumes:
        return Finding(name="storage", state="ok", found=f"relative paths begin in {' '.join(job.volumes[:1])}")
    return Finding(
        name="storage",
        state="warn",
        found="no --volumes: what is written into a folder is lost with its pod",
        remedy="give --volumes CLAIM:/folder, or s3:// URLs",
    )


def _new(job: Job) -> Finding:
    """An object of that name would be changed, not started."""
    name, of_kind = object_name(job), kind(job.command)
    answer = ask("kubectl", "get", of_kind, name, "--ignore-not-found", "--output=name", *_space(job.place))
    _understood(answer, of_kind)
    if answer.out.strip():
        remedy = f"`videoar cancel {name}`, or give another --name"
        raise InputError("name", name, f"is there already, as a {of_kind}", remedy)
    return Finding(name="name", state="ok", found=f"{of_kind}/{name} is new")


def _understood(answer: Answer, of_kind: str) -> None:
    if answer.code and "doesn't have a resource type" in answer.err:
        operator = "KubeRay" if of_kind == "rayjob" else "JobSet"
        raise InputError("to", "kubernetes", f"has no {of_kind}: {answer.line}", f"install {operator} on the cluster")
    if answer.code:
        raise Stopped(f"kubectl cannot ask the cluster: {answer.line}")


def _accepted(text: str) -> Finding:
    """Whether the cluster accepts the manifest, with its quotas and policies."""
    answer = ask("kubectl", "apply", "--dry-run=server", "--filename=-", stdin=text)
    if answer.code:
        remedy = "change the options, or the manifest that --dry-run prints"
        raise InputError("to", "kubernetes", f"refuses the manifest ({answer.line})", remedy)
    return Finding(name="kubectl", state="ok", found=answer.line)


def _free_gpus(job: Job) -> Finding:
    """GPUs that are free now; skipped for users who may not see all machines."""
    nodes = ask("kubectl", "get", "nodes", "--output=json")
    pods = ask("kubectl", "get", "pods", "--all-namespaces", "--output=json")
    if nodes.code or pods.code:
        return Finding(name="free GPUs", state="skip", found=(nodes if nodes.code else pods).line)
    counts = free_gpus(json.loads(nodes.out)["items"], json.loads(pods.out)["items"], GPU)
    return compared_gpus(*counts, job.nodes * job.gpus * (job.array or 1))
