"""Refuses what an API server would refuse in a manifest, as far as this is known without one.

Three judges, because each is blind somewhere: kubernetes-validate (unknown fields and types of the core kinds, no
words), the models of kubeflow-trainer-api (JobSet, no words either), and the tables here: words that the others leave
open, and the fields of KubeRay v1.7's RayJob that we write, for which no package is published.
If VIDEOAR_CRDS names a folder with `jobsets.yaml` and `rayjobs.yaml`, the operators' own definitions are asked too.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from kubeflow_trainer_api.models.jobset_v1alpha2_job_set import JobsetV1alpha2JobSet

_VERSION = "1.32"

_WORDS = {
    "restartPolicy": {"Never", "OnFailure", "Always"},
    "completionMode": {"Indexed", "NonIndexed"},
    "podReplacementPolicy": {"Failed", "TerminatingOrFailed"},
    "fsGroupChangePolicy": {"OnRootMismatch", "Always"},
    "operator": {"In", "NotIn"},
    "medium": {"Memory", ""},
}
"""Words of the core kinds that their schemas leave open (Kubernetes API reference v1.32)."""
_JOB_SET_ACTIONS = {
    *("FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"),
    *("RestartJob", "RestartJobAndIgnoreMaxRestarts"),
}
_JOB_SET_STRATEGIES = {"Recreate", "BlockingRecreate", "InPlaceRestart"}
"""Words that the models of JobSet name in their descriptions only."""
_POD_FAILURE_ACTIONS = {"FailJob", "FailIndex", "Ignore", "Count"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(required), "additionalProperties": False,
    }  # fmt: skip


_INTEGER, _TEXT = {"type": "integer"}, {"type": "string"}
_POD = _object(("spec",), metadata={"type": "object"}, spec={"type": "object"})
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_RAY_JOB = _object(
    ("entrypoint", "rayClusterSpec"),
    entrypoint=_TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    backoffLimit=_INTEGER,
    shutdownAfterJobFinishes={"type": "boolean"},
    ttlSecondsAfterFinished=_INTEGER,
    activeDeadlineSeconds=_INTEGER,
    submitterPodTemplate=_POD,
    rayClusterSpec=_object(
        ("headGroupSpec",),
        rayVersion=_TEXT,
        authOptions=_object(("mode",), mode={"enum": ["disabled", "token"]}, secretName=_TEXT),
        headGroupSpec=_object(("template",), rayStartParams=_TEXTS, template=_POD),
        workerGroupSpecs={
            "type": "array",
            "items": _object(
                ("groupName", "template"), groupName=_TEXT, replicas=_INTEGER, minReplicas=_INTEGER,
                maxReplicas=_INTEGER, rayStartParams=_TEXTS, template=_POD,
            ),
        },
    ),
)  # fmt: skip


def problems(text: str) -> list[str]:
    """What is wrong with a manifest."""
    made = yaml.safe_load(text)
    return list(_of_a(made)) or list(_by_definitions(made))


def _of_a(made: dict[str, Any]) -> Iterator[str]:
    if (made["apiVersion"], made["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet"):
        yield from _job_set(made)
    elif (made["apiVersion"], made["kind"]) == ("ray.io/v1", "RayJob"):
        yield from _ray_job(made)
    else:
        yield f"{made['apiVersion']} {made['kind']} is not known here"


def _job_set(made: dict[str, Any]) -> Iterator[str]:
    for each in made["spec"]["replicatedJobs"]:
        yield from _core("batch/v1", "Job", each["template"]["spec"])
    policy = made["spec"].get("failurePolicy", {})
    for rule in policy.get("rules", []):
        if rule["action"] not in _JOB_SET_ACTIONS:
            yield f"action: {rule['action']}"
    if policy.get("restartStrategy", "Recreate") not in _JOB_SET_STRATEGIES:
        yield f"restartStrategy: {policy['restartStrategy']}"
    slim = copy.deepcopy(made)  # the models take amounts for objects; the pods are judged above
    for each in slim["spec"]["replicatedJobs"]:
        each["template"]["spec"].pop("template", None)
        each["template"]["spec"]["template"] = {}
    try:
        read = JobsetV1alpha2JobSet.from_dict(slim)
    except ValueError as error:
        yield " ".join(str(error).split())
        return
    if (kept := read.to_dict()) != slim:  # the models drop fields that they do not know
        yield f"fields are not known to JobSet: {kept} instead of {slim}"


def _ray_job(made: dict[str, Any]) -> Iterator[str]:
    try:
        jsonschema.validate(made["spec"], _RAY_JOB)
    except jsonschema.ValidationError as error:
        yield error.message
        return
    cluster = made["spec"]["rayClusterSpec"]
    templates = [cluster["headGroupSpec"]["template"], *(each["template"] for each in cluster["workerGroupSpecs"])]
    for template in [made["spec"]["submitterPodTemplate"], *templates]:
        yield from _core("v1", "Pod", template["spec"])


def _core(version: str, kind: str, spec: dict[str, Any]) -> Iterator[str]:
    made = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    try:
        kubernetes_validate.validate(made, _VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield error.message
    for key, value in _leaves(spec):
        if value not in _WORDS.get(key, {value}):
            yield f"{key}: {value}"
    for rule in spec.get("podFailurePolicy", {}).get("rules", []):
        if rule["action"] not in _POD_FAILURE_ACTIONS:
            yield f"action: {rule['action']}"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and values that are no lists or objects."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _leaves(below, name)
    elif isinstance(value, list):
        for below in value:
            yield from _leaves(below, key)
    else:
        yield key, value


def _by_definitions(made: dict[str, Any]) -> Iterator[str]:
    """What the operators' own definitions say, where they are at hand."""
    if not (folder := os.environ.get("VIDEOAR_CRDS")):
        return
    text = (Path(folder) / f"{made['kind'].lower()}s.yaml").read_text(encoding="utf-8")
    definition = yaml.load(text, yaml.CSafeLoader)
    (served,) = [
        each for each in definition["spec"]["versions"] if made["apiVersion"].endswith(f"/{each['name']}")
    ]  # fmt: skip
    schema = _strict(served["schema"]["openAPIV3Schema"]["properties"]["spec"])
    yield from (error.message[:300] for error in jsonschema.Draft7Validator(schema).iter_errors(made["spec"]))


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in JSON Schema's words, with unknown fields refused."""
    schema = dict(schema)
    if schema.pop("x-kubernetes-int-or-string", None):
        return {"type": ["integer", "string"]}
    if "properties" in schema:
        schema["properties"] = {name: _strict(below) for name, below in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            schema[name] = _strict(schema[name])
    return schema
