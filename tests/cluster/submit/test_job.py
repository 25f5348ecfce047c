from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.submit.job import Job

JOB = Job(name="debug", command="train", words=("debug",), folder=Path("/shared"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a b"}, "name='a b': has characters that are not accepted"),
        ({"name": "$(touch x)"}, "name='$(touch x)': has characters"),
        ({"name": "a\n#SBATCH --wrap=x"}, "has characters that are not accepted"),
        ({"partition": "gpu --wrap=x"}, "partition='gpu --wrap=x': has characters"),
        ({"account": "it's"}, "has characters that are not accepted"),
        (
            {"flags": ("--exclusive",)},
            "flags='--exclusive': has characters that are not accepted; write each as name or",
        ),
        ({"flags": ("comment=a b",)}, "flags='comment=a b': has characters"),
        ({"jobs": "/etc"}, "jobs='/etc': has characters"),
        ({"jobs": "a/%j"}, "jobs='a/%j': has characters"),
        ({"folder": Path("/a\nb")}, "folder='/a\\nb': has characters"),
        ({"words": ("debug", "a\nb")}, "arguments='a\\nb': has a line break"),
        ({"nodes": 0}, "nodes=0: is below 1"),
        ({"command": "data plan", "nodes": 2}, "nodes=2: has no effect for `data plan`, which runs on one machine; u"),
        (
            {"command": "evaluate fvd", "nodes": 2},
            "nodes=2: has no effect for `evaluate fvd`, which runs on one machine; use 1 node, and --array for its",
        ),
        (
            {"command": "evaluate vbench-score", "array": 2},
            "array=2: cannot share the work of `evaluate vbench-score`; leave it out",
        ),
        ({"array": 2}, "array=2: cannot share the work of `train`; give --nodes"),
        ({"command": "data text", "array": 2}, "array=2: cannot share the work of `data text`; leave it out"),
        ({"command": "data run", "array": 2, "words": ("debug", "--part", "1/2")}, "array=2: gives each of its jobs"),
        (
            {"wall_s": 200},
            "time=200 s: leaves 80 s for work, less than 120 s: the command must save 120 s before its end",
        ),
        ({"container": "pyxis"}, "container=pyxis: opens no image"),
    ],
)
def test_what_cannot_be_quoted_or_cannot_run_is_refused(changes: dict[str, Any], message: str) -> None:
    """In a line of sbatch's options a quote does not always help; in the command every word is quoted."""
    with pytest.raises(InputError, match=re.escape(message)):
        replace(JOB, **changes)
