"""The driver of a Ray Job: runs a script once on each of several machines, and again after exit code 75.

`python -m videoar.cluster.submit.ray_jobs.machines --machines=2 --cpus=8 --gpus=8 --requeues=20 --notice=300 SCRIPT`

It survives the shell that submitted: it is a process of the cluster. It writes what the machines write.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import ray
import tyro
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from videoar.cluster.ground.process import child_environment, variable
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, code_of_all, install
from videoar.data_pipeline.preparing.ray_cluster import ray_cluster

_POLL_S = 1.0
_SILENT_S = 10.0
"""Seconds of waiting for machines before it is logged."""

_KEEPER = """
trap : TERM
export VIDEOAR_PARENT=$$
(while kill -0 "$PPID" 2>/dev/null; do sleep 1; done; kill -9 "$$") >/dev/null 2>&1 &
watch=$!
bash -c "$0"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"""
"""A process between actor and script. An actor that Ray ends kills its children at once. The script is not its child,
so a trainer sees that its parent is gone and can still save. If the actor died in another way, the keeper ends with
it."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the job asks for."""

    script: tyro.conf.Positional[Path]
    machines: int
    cpus: int
    gpus: int
    requeues: int
    notice: int
    """Seconds that the other machines have to save after one has ended with 75, or has failed."""


@dataclass(slots=True)
class Round:
    """One start of the script on all machines."""

    running: dict[Any, int]
    """The machines that have not ended, by the generator of their lines."""
    codes: list[int] = field(default_factory=list)
    stopped_at: float | None = None

    @property
    def code(self) -> int:
        """The exit code of all machines; 75 if none has ended, because then the job resumes."""
        code = code_of_all(self.codes)
        return EXIT_PREEMPTED if code is None else code


class Machine:
    """The actor: the script's process on one machine."""

    _process: subprocess.Popen[bytes] | None = None
    _stopped = False

    def place(self) -> tuple[str, int]:
        """This machine's address and a port that is free there, for the machines to meet."""
        with socket.create_server(("", 0)) as free:
            return ray.util.get_node_ip_address(), free.getsockname()[1]

    def run(self, script: str, variables: dict[str, str]) -> Iterator[str | int]:
        """The lines that the script writes, and then its exit code."""
        self._process = subprocess.Popen(
            ["bash", "-c", _KEEPER, script],
            # What the script prepares with Ray, it prepares on this machine: the cluster's CPUs are taken by this job.
            env={**child_environment({}), **variables, "RAY_ADDRESS": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if self._stopped:
            self._terminate()
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line.decode(errors="replace")
        code = self._process.wait()
        yield code if code >= 0 else 128 - code

    @ray.method(concurrency_group="stop")
    def stop(self) -> None:
        """Tell the script to save and to end."""
        self._stopped = True
        self._terminate()

    def _terminate(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)


class Stop:
    """Whether the job has been cancelled."""

    requested = False

    def note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


def main() -> int:
    """Run the script, again after 75 and after a machine was lost; the exit code of the job."""
    options = tyro.cli(Options)
    script = options.script.read_text(encoding="utf-8")  # read once: a later `videoar submit` may replace it
    stop = Stop()
    # In a Ray Job the cluster may grow, so that `_placed` waits; elsewhere one on this machine is started for a trial.
    with ray_cluster(0 if variable("RAY_ADDRESS") else options.machines * options.cpus, 0.0):
        install(stop.note)  # Ray has installed its own
        for again in range(options.requeues + 1):
            code = _run(options, script, stop)
            if code != EXIT_PREEMPTED or stop.requested:
                return code
            if again < options.requeues:
                _say(f"saved; started again, {again + 1} of at most {options.requeues} times")
    _say(f"saved, and started again {options.requeues} times: submit it again, or raise --requeues")
    return EXIT_PREEMPTED


def _run(options: Options, script: str, stop: Stop) -> int:
    """Run the script once on all machines."""
    group = placement_group(
        [{"CPU": options.cpus, **({"GPU": options.gpus} if options.gpus else {})}] * options.machines,
        strategy="STRICT_SPREAD",
    )
    try:
        if not _placed(group, options, stop):
            return EXIT_PREEMPTED
        actors = [_actor(group, options, number) for number in range(options.machines)]
        return _until_all_end(actors, _started(actors, script), stop, options.notice)
    except ray.exceptions.RayActorError:
        _say("the first machine is lost")
        return EXIT_PREEMPTED
    finally:
        remove_placement_group(group)  # ends the actors too


def _placed(group: Any, options: Options, stop: Stop) -> bool:
    """Wait for the machines; False if the job was cancelled first."""
    begun, silent = time.monotonic(), True
    while not stop.requested:
        if group.wait(timeout_seconds=_POLL_S):
            return True
        if silent and time.monotonic() - begun > _SILENT_S:
            silent = False
            _say(f"waiting for {options.machines} machines with {options.cpus} CPUs and {options.gpus} GPUs free")
    return False


def _actor(group: Any, options: Options, number: int) -> Any:
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
    wanted: dict[str, Any] = {
        "num_cpus": options.cpus,
        "num_gpus": options.gpus,
        "scheduling_strategy": strategy,
        "max_restarts": 0,
        "max_task_retries": 0,
        "concurrency_groups": {"stop": 1},
    }
    return ray.remote(**wanted)(Machine).remote()


def _started(actors: list[Any], script: str) -> Round:
    """Start the script on every machine; they meet at the first one."""
    host, port = ray.get(actors[0].place.remote())
    variables = {"NNODES": str(len(actors)), "MASTER_ADDR": host, "MASTER_PORT": str(port)}
    return Round(
        running={
            actor.run.options(num_returns="streaming").remote(script, {**variables, "NODE_RANK": str(number)}): number
            for number, actor in enumerate(actors)
        }
    )


def _until_all_end(actors: list[Any], started: Round, stop: Stop, notice_s: float) -> int:
    """Write what the machines write. If one fails or saves early, or the job is cancelled, the others are told to save
    and end."""
    while started.running:
        ready, _ = ray.wait(list(started.running), timeout=_POLL_S)
        for lines in ready:
            _take(lines, started, of_several=len(actors) > 1)
        ended_badly = any(code != 0 for code in started.codes)
        if (stop.requested or ended_badly) and started.stopped_at is None:
            started.stopped_at = time.monotonic()
            for actor in actors:
                actor.stop.remote()
        if started.stopped_at is not None and time.monotonic() - started.stopped_at > notice_s:
            break
    return started.code


def _take(lines: Any, started: Round, *, of_several: bool) -> None:
    """Write the next line of a machine, or note how it ended. A lost machine counts as 75: the others resume."""
    number = started.running[lines]
    try:
        said: str | int = ray.get(next(lines))
    except StopIteration:
        del started.running[lines]
        return
    except ray.exceptions.RayActorError:
        del started.running[lines]
        started.codes.append(EXIT_PREEMPTED)
        _say(f"machine {number} is lost")
        return
    if isinstance(said, int):
        started.codes.append(said)
        return
    sys.stdout.write(f"[{number}] {said}" if of_several else said)
    sys.stdout.flush()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Ray's own exit handlers have run in ray_cluster; its threads must not delay the end
