"""What kubectl is asked and how its answers are read. The answers have the form of real ones; kubectl here is a file
that plays them back: whether a cluster takes our manifests is for `test_kubernetes_manifest.py`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.entry import main
from videoar.cluster.submit.kubernetes.status import free_gpus, of_job_set, of_ray_job

KUBECTL = """#!/bin/sh
echo "$@" >>asked
case "$*" in
*--ignore-not-found*--output=name*) ;;
"apply --dry-run=server --filename=-") cat >/dev/null; echo "jobset/debug-train created (server dry run)" ;;
"apply --filename"*) echo "jobset.jobset.x-k8s.io/debug-train created" ;;
"get nodes"*) cat nodes.json ;;
"get pods --all"*) cat all_pods.json ;;
"get pods"*) cat pods.json ;;
"get jobset"*) cat jobset.json ;;
"get rayjob"*) echo 'Error from server (NotFound): the server doesn'"'"'t have a resource type "rayjob"' >&2; exit 1 ;;
"logs"*) echo "[pod/debug-train-machines-0-0-x/videoar] step 1"; echo "[pod/debug-train-machines-0-0-x/videoar] done" ;;
"delete jobset"*) echo deleted ;;
*) echo "Error: unknown words $*" >&2; exit 1 ;;
esac
"""
NODES = {
    "items": [
        {"metadata": {"name": "a"}, "spec": {}, "status": {"allocatable": {"nvidia.com/gpu": "8"}}},
        {"metadata": {"name": "b"}, "spec": {}, "status": {"allocatable": {"nvidia.com/gpu": "8"}}},
        {
            "metadata": {"name": "c"},
            "spec": {"unschedulable": True},
            "status": {"allocatable": {"nvidia.com/gpu": "8"}},
        },
        {"metadata": {"name": "d"}, "spec": {}, "status": {"allocatable": {"cpu": "8"}}},
    ]
}


def a_pod(phase: str, node: str = "a", gpus: int = 0, **state: Any) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "spec": {"nodeName": node, "containers": [{"resources": {"limits": limits}}]},
        "status": {"phase": phase, "containerStatuses": [{"name": "videoar", "state": state}] if state else []},
    }


def a_job_set(*conditions: str, active: int = 0, restarts: int = 0, message: str = "") -> dict[str, Any]:
    return {
        "status": {
            "conditions": [{"type": name, "status": "True", "message": message} for name in conditions],
            "restarts": restarts,
            "replicatedJobsStatus": [{"name": "machines", "active": active, "ready": 0, "succeeded": 0, "failed": 0}],
        }
    }


def ended(code: int) -> dict[str, Any]:
    return a_pod("Failed" if code else "Succeeded", terminated={"exitCode": code})


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `kubectl` that plays answers back, first on PATH; the file `asked` has what it was asked."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    answers = {"nodes": NODES, "all_pods": {"items": [a_pod("Running", "a", 4), a_pod("Succeeded", "b", 8)]}}
    answers |= {"jobset": a_job_set("Completed"), "pods": {"items": [ended(0)]}}
    for name, answer in answers.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(answer))
    return tmp_path


def test_a_job_is_checked_sent_watched_and_cancelled(kubectl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The way of a job through kubectl, with the words that kubectl is given."""
    words = ("submit", "debug", "--to", "kubernetes", "--image", "x/y:1", "--gpus", "2")
    assert main([*words, "--namespace", "research", "--volumes", "shared:/shared", "--wait"]) == 0
    out, said = capsys.readouterr()
    assert out == "debug-train\n"
    assert "12 of 16 are free now, 2 are asked for" in said
    assert said.endswith("videoar] done\n")
    assert main(["status", "debug-train"]) == 0
    assert capsys.readouterr().out == "debug-train debug-train: done, exit code 0 (Completed)\n"
    assert main(["cancel", "debug-train"]) == 0
    asked = (kubectl / "asked").read_text().splitlines()
    assert "apply --filename jobs/debug-train.manifest.yml" in asked
    assert "delete jobset debug-train --wait=false --namespace research" in asked
    selector = "--selector=jobset.sigs.k8s.io/jobset-name=debug-train"
    flags = f"{selector} --prefix --tail=-1 --max-log-requests=1000 --follow --namespace research"
    assert f"logs {flags}" in asked
    assert "namespace: research" in (kubectl / "jobs/debug-train.manifest.yml").read_text()


@pytest.mark.parametrize(("code", "state"), [(75, "preempted"), (3, "failed")])
def test_the_exit_code_reaches_the_caller(
    kubectl: Path, capsys: pytest.CaptureFixture[str], code: int, state: str
) -> None:
    """75 of one machine must not hide what another died of; alone it says: submit again."""
    (kubectl / "jobset.json").write_text(json.dumps(a_job_set("Failed", message="jobset failed", restarts=2)))
    (kubectl / "pods.json").write_text(json.dumps({"items": [ended(75), ended(code), ended(0)]}))
    assert main(["submit", "debug", "--to", "kubernetes", "--image", "x/y:1", "--wait"]) == code
    capsys.readouterr()
    assert main(["status", "debug-train"]) == 0
    assert f"{state}, exit code {code} (Failed: jobset failed, started again 2 times)" in capsys.readouterr().out


def test_a_cluster_without_the_operator_is_named(kubectl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The commonest first failure: the operator that knows RayJobs is not installed."""
    (kubectl / "bin/kubectl").write_text(KUBECTL.replace("*--ignore-not-found*--output=name*) ;;\n", ""))
    words = ("--command", "data run", "--output", "s3://bucket/x", "--image", "x/y:1")
    assert main(["submit", "debug", "--to", "kubernetes", *words]) == 2
    assert "install KubeRay on the cluster" in capsys.readouterr().err.splitlines()[-1]
    assert "apply --filename" not in (kubectl / "asked").read_text()


def test_no_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["submit", "debug", "--to", "kubernetes", "--image", "x/y:1"]) == 2
    assert "PATH=kubectl: is not installed here" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("found", "pods", "state", "detail"),
    [
        ({}, [], "queued", "no pod runs yet"),
        (a_job_set("Suspended", message="jobset is suspended"), [], "queued", "Suspended: jobset is suspended"),
        (
            a_job_set(active=2),
            [a_pod("Pending", waiting={"reason": "ImagePullBackOff", "message": "no such image"})],
            "queued",
            "no such image",
        ),
        (a_job_set(active=2, restarts=1), [a_pod("Running")], "running", "1 pods run, started again 1 times"),
        (a_job_set("Completed"), [ended(0)], "done", "Completed"),
    ],
)
def test_states_of_a_job_set(found: dict[str, Any], pods: list[dict[str, Any]], state: str, detail: str) -> None:
    status = of_job_set(found, pods)
    assert (status.state, status.detail) == (state, detail)


@pytest.mark.parametrize(
    ("status", "state", "code"),
    [
        ({}, "queued", None),
        ({"jobDeploymentStatus": "Initializing"}, "queued", None),
        ({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}, "running", None),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED", "message": "Job finished."}, "done", 0),
        (
            {
                "jobDeploymentStatus": "Failed",
                "jobStatus": "FAILED",
                "message": "Job entrypoint command failed with exit code 2, last available logs:\nx",
            },
            "failed",
            2,
        ),
        ({"jobDeploymentStatus": "Failed", "reason": "DeadlineExceeded"}, "failed", None),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "STOPPED"}, "cancelled", None),
    ],
)
def test_states_of_a_ray_job(status: dict[str, Any], state: str, code: int | None) -> None:
    found = of_ray_job({"status": status})
    assert (found.state, found.exit_code) == (state, code)


def test_gpus_of_machines_that_take_no_jobs_are_not_free() -> None:
    assert free_gpus(NODES["items"], [a_pod("Running", "a", 8), a_pod("Running", "c", 8)], "nvidia.com/gpu") == (8, 16)
