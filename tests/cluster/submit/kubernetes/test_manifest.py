from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from videoar.cluster.ground.errors import InputError
from videoar.cluster.submit.job import Job
from videoar.cluster.submit.kubernetes.kubernetes import Kubernetes
from videoar.cluster.submit.kubernetes.manifest import object_name
from videoar.cluster.submit.variables import Variable

from .rules import problems

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[3] / "golden" / "kubernetes"
TRAIN = Job(
    name="t2v_4b-train",
    command="train",
    words=("t2v_4b@64", "--run", "runs/4b", "--doctor", "--processes", "8"),
    folder=Path("/shared"),
    nodes=8,
    gpus=8,
    processes=8,
    cpus=64,
    memory="1Ti",
    shm="64Gi",
    wall_s=172_800,
    notice_s=300,
    place="research",
    partition="team",
    qos="high",
    image="registry.example/videoar:1",
    python="python",
    volumes=("shared:/shared", "scratch:/scratch"),
    environment=(Variable.of("WANDB_API_KEY=@wandb/key"), Variable.of("HF_TOKEN=@hf"), Variable.of("NCCL_DEBUG=WARN")),
    service_account="trainer",
)
DATA = Job(
    name="debug-data-run",
    command="data run",
    words=("debug", "--output", "s3://bucket/shards"),
    folder=Path("/shared"),
    nodes=3,
    cpus=16,
    memory="64Gi",
    image="registry.example/videoar:1",
    python="python",
)
PARTS = Job(
    name="l-evaluate-class-samples",
    command="evaluate class-samples",
    words=("weights/l", "videos/l", "--total", "2048"),
    folder=Path("/shared"),
    gpus=1,
    cpus=8,
    array=8,
    wall_s=14_400,
    image="registry.example/videoar:1",
    python="python",
    volumes=("shared:/shared",),
)


def rendered(job: Job) -> str:
    (text,) = Kubernetes().render(job).files.values()
    return text


def without_version(text: str) -> str:
    """The version of the Ray that is installed changes more often than the manifest."""
    return "".join(f"{line}\n" for line in text.splitlines() if "rayVersion" not in line)


@pytest.mark.parametrize(("name", "job"), [("train", TRAIN), ("data_run", DATA), ("evaluate_array", PARTS)])
def test_the_manifest(name: str, job: Job) -> None:
    """What a cluster is asked for changes only on purpose, and an API server would take it.

    To accept a change, run with WRITE_GOLDEN=1 and read the difference.
    """
    text, golden = rendered(job), GOLDEN / f"{name}.yml"
    assert problems(text) == []
    if "WRITE_GOLDEN" in os.environ:
        golden.write_text(without_version(text), encoding="utf-8")
    assert without_version(text) == golden.read_text(encoding="utf-8")


def test_each_pod_of_an_array_makes_its_own_part(tmp_path: Path) -> None:
    """Kubernetes counts from 0 and parts from 1; a part that is made twice or never is found after the night."""
    python = tmp_path / "py thon"
    python.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    python.chmod(0o755)
    hostile = replace(PARTS, words=("a b", "$(touch broken)", "it's"), python=str(python))
    (container,) = job_spec(yaml.safe_load(rendered(hostile)))["template"]["spec"]["containers"]
    for index in range(2):
        environment = {"JOB_COMPLETION_INDEX": str(index)}
        ran = subprocess.run(container["command"], env=environment, cwd=tmp_path, capture_output=True, text=True)
        words = "evaluate|class-samples|a b|$(touch broken)|it's"
        assert ran.stdout == f"-m|videoar.cluster.entry|{words}|--part|{index + 1}/8|"
    assert not (tmp_path / "broken").exists()


def test_a_part_that_fails_leaves_the_others_and_75_starts_it_again() -> None:
    """Eight parts know nothing of each other: one that is saved or lost must not start the other seven again."""
    for requeues, action in ((20, "Ignore"), (0, "FailIndex")):
        made = yaml.safe_load(rendered(replace(PARTS, requeues=requeues)))
        spec = job_spec(made)
        assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == [action, action]
        assert (spec["backoffLimitPerIndex"], spec["completions"], spec["parallelism"]) == (0, 8, 8)
        assert "backoffLimit" not in spec
        assert problems(yaml.safe_dump(made)) == []
        assert [rule["action"] for rule in made["spec"]["failurePolicy"]["rules"]] == ["FailJobSet"]


def test_a_tokenizer_trains_on_the_machines_of_a_generator() -> None:
    """Only what is run differs: the same pods, meeting at the first, with the same rules for their ends."""
    made = [
        line for line in rendered(replace(TRAIN, command="tokenizer train")).splitlines() if "- tokenizer" not in line
    ]
    assert [line.replace("tokenizer train", "train") for line in made] == rendered(TRAIN).splitlines()


def job_spec(made: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = made["spec"]["replicatedJobs"][0]["template"]["spec"]
    return spec


MISTAKES: dict[str, tuple[Job, Callable[[dict[str, Any]], Any]]] = {
    "action of JobSet": (TRAIN, lambda made: made["spec"]["failurePolicy"]["rules"][0].update(action="RestartAlways")),
    "strategy": (TRAIN, lambda made: made["spec"]["failurePolicy"].update(restartStrategy="Never")),
    "action of the pods": (TRAIN, lambda made: job_spec(made)["podFailurePolicy"]["rules"][0].update(action="Restart")),
    "unknown field of JobSet": (TRAIN, lambda made: made["spec"]["failurePolicy"].update(maxRestart=1)),
    "unknown field of Job": (TRAIN, lambda made: job_spec(made).update(backofLimit=1)),
    "unknown field of pod": (TRAIN, lambda made: job_spec(made)["template"]["spec"].update(serviceAccountNam="x")),
    "type in JobSet": (TRAIN, lambda made: made["spec"]["failurePolicy"].update(maxRestarts="many")),
    "type in Job": (TRAIN, lambda made: job_spec(made).update(parallelism="8")),
    "type of an exit code": (
        TRAIN,
        lambda made: job_spec(made)["podFailurePolicy"]["rules"][0]["onExitCodes"].update(values=["75"]),
    ),
    "mode of completion": (TRAIN, lambda made: job_spec(made).update(completionMode="Index")),
    "policy of restarts": (TRAIN, lambda made: job_spec(made)["template"]["spec"].update(restartPolicy="Sometimes")),
    "field of RayJob": (DATA, lambda made: made["spec"].update(entryPoint="x")),
    "type in RayJob": (DATA, lambda made: made["spec"]["rayClusterSpec"]["workerGroupSpecs"][0].update(replicas="3")),
    "mode of the token": (DATA, lambda made: made["spec"]["rayClusterSpec"]["authOptions"].update(mode="on")),
    "pod of Ray": (
        DATA,
        lambda made: made["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"].update(volume=[]),
    ),
    "action of the parts": (
        PARTS,
        lambda made: job_spec(made)["podFailurePolicy"]["rules"][0].update(action="Restart"),
    ),
    "limit of the parts": (PARTS, lambda made: job_spec(made).update(backoffLimitPerIndex="0")),
    "kind": (DATA, lambda made: made.update(kind="RayJobs")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_field_is_found(mistake: str) -> None:
    """A check that accepts everything would pass the test above too."""
    job, spoil = MISTAKES[mistake]
    made = yaml.safe_load(rendered(job))
    spoil(made)
    assert problems(yaml.safe_dump(made))


@pytest.mark.parametrize("job", [TRAIN, DATA, PARTS, replace(TRAIN, nodes=1, gpus=0, service_account="", requeues=0)])
def test_pods_have_no_privilege(job: Job) -> None:
    """A pod that runs as root with the cluster's token is a way into the cluster."""
    text = rendered(job)
    assert text.count("runAsNonRoot: true") == text.count("seccompProfile")
    assert text.count("allowPrivilegeEscalation: false") == text.count("  image: ")
    assert ("automountServiceAccountToken: true" in text) == bool(job.service_account)
    assert "privileged" not in text
    assert problems(text) == []


def test_the_machines_meet_at_the_first_pod() -> None:
    """The name is the one that JobSet's headless service gives to it."""
    env = {
        each["name"]: each
        for each in job_spec(yaml.safe_load(rendered(TRAIN)))["template"]["spec"]["containers"][0]["env"]
    }
    assert env["MASTER_ADDR"]["value"] == "t2v-4b-train-machines-0-0.t2v-4b-train"
    assert env["NNODES"]["value"] == "8"
    assert "NNODES" not in rendered(replace(TRAIN, nodes=1))


def test_only_75_starts_again_and_no_requeue_is_none() -> None:
    """A crash that starts again forever burns GPUs; a saved run that ends loses its turn."""
    for requeues, action in ((20, "RestartJobSetAndIgnoreMaxRestarts"), (0, "FailJobSet")):
        made = yaml.safe_load(rendered(replace(TRAIN, requeues=requeues)))
        first, second = made["spec"]["failurePolicy"]["rules"]
        assert (first["action"], second["action"]) == (action, "FailJobSet")
        assert first["onJobFailureReasons"] == ["PodFailurePolicy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": ""}, "image='': is needed on Kubernetes"),
        ({"account": "a"}, "account=a: has no effect on Kubernetes"),
        (
            {"command": "data run", "array": 2},
            "array=2: has no effect on Kubernetes; leave it out: --nodes and data.actors",
        ),
        ({"flags": ("exclusive",)}, "flags=exclusive: has no effect on Kubernetes"),
        ({"volumes": ("shared",)}, "volumes='shared': is not a claim and its folder"),
        ({"memory": "lots"}, "memory='lots'"),
        ({"place": "A_B"}, "namespace=A_B"),
        ({"name": "4b"}, "name=4b: cannot be a name on Kubernetes"),
        ({"environment": (Variable(name="WANDB_API_KEY"),)}, "env=WANDB_API_KEY: is a secret of this shell"),
        ({"environment": (Variable.of("A=@/etc/key"),)}, "env=A=@/etc/key: is not a secret of the cluster"),
        ({"environment": (Variable(name="NOT_SET_ANYWHERE"),)}, "env=NOT_SET_ANYWHERE: is not set"),
    ],
)
def test_what_kubernetes_cannot_use_is_refused(change: dict[str, Any], message: str) -> None:
    """An option that has no effect is a mistake to tell about before the job waits for a day."""
    with pytest.raises(InputError) as raised:
        rendered(replace(TRAIN, **change))
    assert str(raised.value).startswith(message)


def test_names() -> None:
    assert object_name(replace(TRAIN, name="T2V_4b.x")) == "t2v-4b-x"
