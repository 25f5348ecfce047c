"""Further flags of sbatch: those that the script sets itself, and those that carry a secret, are refused."""

from __future__ import annotations

from collections.abc import Iterable

from videoar.cluster.ground.credentials import MASK, is_secret_name, looks_secret
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import short

_NO_USE = "leave it out"
_SET = {
    "output": "give --jobs FOLDER and --name NAME, of which the log's path is made",
    "error": "leave it out: the log has both",
    "job-name": "give --name",
    "nodes": "give --nodes",
    "ntasks": "leave it out: one task on each machine starts the processes",
    "ntasks-per-node": "leave it out: one task on each machine starts the processes",
    "array": "give --array",
    "requeue": "leave it out: it is there",
    "no-requeue": "give --requeues 0",
    "signal": "give --faults.stop-within-s",
    "time": "give --time",
    "wrap": _NO_USE,
    "parsable": _NO_USE,
    "test-only": "give --dry-run",
    "open-mode": _NO_USE,
    "gpus": "give --gpus, for each machine",
    "gpus-per-node": "give --gpus",
    "cpus-per-task": "give --cpus",
    "partition": "give --partition",
    "account": "give --account",
    "qos": "give --qos",
    "chdir": "run this in that folder",
    "wait": "give --wait",
    "quiet": _NO_USE,
    "help": _NO_USE,
    "usage": _NO_USE,
    "version": _NO_USE,
}
"""Options that the script sets itself, and what to give instead."""


def refuse_flags(flags: Iterable[str]) -> None:
    """InputError for the first flag that contradicts the script, or would write a secret into it."""
    for flag in flags:
        name, _, value = flag.partition("=")
        # sbatch takes a beginning of an option for the option.
        if remedy := _SET.get(name) or next((_SET[option] for option in _SET if option.startswith(name)), None):
            raise InputError("flags", short(name), "is set by the script itself", remedy)
        if name.startswith("exp") and "=" in value:
            raise InputError("flags", f"{name}={MASK}", "would write values into the script", "give --env NAME")
        if looks_secret(value) or is_secret_name(name):
            raise InputError("flags", f"{name}={MASK}", "would write a secret into the script", "leave it out")
