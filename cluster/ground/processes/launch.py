"""Starts several processes of this machine by torchrun's agent, and joins those of other machines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.log_level import level_for_children
from videoar.cluster.ground.process import (
    EXIT_LOST,
    PREEMPTED_MARKER,
    World,
    child_environment,
    end_with_parent,
    is_launched,
    mark_preempted,
)
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, answered, install, restore
from videoar.cluster.ground.processes.surroundings import LEAST_FILES, check_loopback, check_open_files

SHUTDOWN_S = 300.0
"""Seconds that workers have to save after a signal before they are killed (torch 2.11 always waits 30)."""

_MARGIN_S = 60.0

RESTARTS = 3
"""Times that the processes of several machines are started again after they lost each other, or one of them failed."""


def launch(
    arguments: Sequence[str], processes: int, run: Path, stop_within_s: float = 0.0, machines: World | None = None
) -> int:
    """Run `videoar ARGUMENTS` in several processes of this machine, by torchrun's agent; its exit code.

    `machines` are those of the job (`World.of_machines`): the agents meet at the first one, or over loopback if there
    is only one.

    SIGNALS are forwarded to the workers as SIGTERM: finish the step, save, exit. They also end if this process is
    killed. Those of several machines start again, and resume, if one of them or the network failed. After a signal
    they must exit within `stop_within_s`; they are killed a minute later, but not before SHUTDOWN_S. The agent does
    not report how they ended after a signal, and they may not have written the marker. So every outcome except done
    and wrong input then counts as preempted.
    """
    machines = machines or World()
    check_loopback()
    check_open_files(LEAST_FILES)
    if machines.is_first:
        (run / PREEMPTED_MARKER).unlink(missing_ok=True)
    agent = [str(processes), str(machines.world_size), str(machines.rank), _endpoint(machines)]
    for restart in range(1, RESTARTS + 2):
        with _forwarding(_start([*agent, *arguments], max(SHUTDOWN_S, stop_within_s + _MARGIN_S))) as job:
            code = job.workers.wait()
            if job.signalled or EXIT_PREEMPTED in (code, _marked(run)):
                answered.set()
        if code != EXIT_LOST or job.signalled or restart > RESTARTS:
            break
        sys.stderr.write(f"restarting the processes of this machine ({restart} of at most {RESTARTS} times)\n")
    code = 1 if code == EXIT_LOST else code
    if code < 0 and not job.signalled:
        sys.stderr.write(f"the agent of the processes was killed by signal {-code}; the processes save and end\n")
        return 1
    if code == 2 and not job.signalled:  # the agent ends the other workers with a signal, and they mark the run
        (run / PREEMPTED_MARKER).unlink(missing_ok=True)
    if job.signalled and code not in (0, 2):
        mark_preempted(run)  # as far as there is a folder yet
        return EXIT_PREEMPTED
    return _marked(run) or code


def _marked(run: Path) -> int:
    """EXIT_PREEMPTED if a worker, on any machine, has recorded that it saved because of a signal; 0 otherwise."""
    return EXIT_PREEMPTED if (run / PREEMPTED_MARKER).exists() else 0


def starts_processes(processes: int) -> bool:
    """Whether this process is to start those of its machine: `processes` of them, or one for a job of several machines.

    InputError if it is one of a group already. A process that an outer torchrun or srun has started ends with it.
    """
    world, machines = World.here(), World.of_machines()
    if world.world_size > 1 and not is_launched():  # otherwise the entry point has done so
        end_with_parent()
    if processes > 1 and world.world_size > 1 and machines.world_size == 1:
        problem = f"cannot be started here, where WORLD_SIZE is {world.world_size}"
        raise InputError("processes", processes, problem, "leave it out under torchrun")
    return processes > 1 or (machines.world_size > 1 and world.world_size == 1)


def _endpoint(machines: World) -> str:
    """Where the agents meet."""
    if machines.world_size == 1:
        return "localhost:0"
    host, port = machines.meeting()
    return f"{host}:{port}"


def _start(words: Sequence[str], shutdown_s: float) -> subprocess.Popen[bytes]:
    """Start the agent in its own process group, so that the terminal's Ctrl-C reaches the workers once, through us.

    Each process has one OpenMP thread unless the user chose: threads that spin on shared cores slow each other down.
    """
    defaults = {"OMP_NUM_THREADS": "1", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(int(shutdown_s))}
    variables = child_environment(defaults) | level_for_children()
    command = [sys.executable, "-m", "videoar.cluster.ground.processes.workers", *words]
    return subprocess.Popen(command, env=variables, start_new_session=True)


@dataclass(slots=True)
class _Job:
    workers: subprocess.Popen[bytes]
    signalled: bool = False

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Forward a signal once: on a second one the agent kills its workers."""
        if not self.signalled:
            self.signalled = True
            self.workers.terminate()


@contextmanager
def _forwarding(workers: subprocess.Popen[bytes]) -> Iterator[_Job]:
    """Forward signals to the workers inside the block, and end them at its end."""
    job = _Job(workers)
    before = install(job.stop)
    try:
        yield job
    finally:
        restore(before)
        if job.workers.poll() is None:
            job.workers.terminate()
            job.workers.wait()
