"""torchrun's agent, `python -m videoar.cluster.ground.processes.workers PROCESSES MACHINES MACHINE HOST:PORT ARGS`.

torchrun itself returns 1 for every exit code, and prints its own traceback below a worker's one line.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from videoar.cluster.ground.process import EXIT_LOST, EXIT_STOPPED, announce_as_parent, end_with_parent

PASSED_ON = (2, 75)
"""Exit codes of a worker that become the job's: wrong input, saved after a signal."""

MEETING_S = 1800.0
"""Seconds that the agents wait for each other: machines of a cluster do not start together, and networks fail."""

_SILENT_S = 10.0
"""Seconds of waiting before it is logged."""
_POLL_S = 1.0

Result = TypeVar("Result")


def main(arguments: Sequence[str]) -> int:
    """Run `videoar ARGUMENTS` in the processes of this machine, with those of the others; the exit code of the job."""
    signal.signal(
        signal.SIGUSR1, signal.SIG_IGN
    )  # schedulers send it to all processes; the launcher forwards it as SIGTERM
    end_with_parent()
    announce_as_parent()
    logging.disable(logging.CRITICAL)  # torch's agent reports each signal; its loggers set levels of their own
    processes, machines, machine, endpoint, *words = arguments
    try:
        address = _patiently(lambda: _address_towards(endpoint), endpoint)
        if machine != "0":
            _patiently(lambda: _reach(endpoint), endpoint)
    except OSError as error:
        sys.stderr.write(f"waited {MEETING_S:g} s for the first machine at {endpoint} ({error})\n")
        return 1
    config = LaunchConfig(
        min_nodes=int(machines),
        max_nodes=int(machines),
        nproc_per_node=int(processes),
        max_restarts=0,
        run_id="videoar",
        rdzv_backend="c10d",
        rdzv_endpoint=endpoint,
        # Says which machine is the host: otherwise each agent would compare its own addresses with the endpoint's name.
        rdzv_configs={"is_host": machine == "0", "join_timeout": int(MEETING_S), "last_call_timeout": 5},
        local_addr=address,
    )
    try:
        elastic_launch(config, sys.executable)("-u", "-m", "videoar.cluster.entry", *words)
    except ChildFailedError as error:
        return _outcome(error, several=machines != "1")
    except SignalException:
        return 1
    except (RuntimeError, OSError, RendezvousError) as error:
        sys.stderr.write(f"the processes cannot be started: {' '.join(str(error).split())}\n")
        return 1 if machines == "1" else EXIT_LOST
    return 0


def _address_towards(endpoint: str) -> str:
    """The address of this machine on the way to the place where the agents meet. Nothing is sent."""
    host, _, port = endpoint.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host.strip("[]"), int(port) or 1))
        address: str = probe.getsockname()[0]
        return address


def _reach(endpoint: str) -> None:
    host, _, port = endpoint.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()


def _patiently(attempt: Callable[[], Result], endpoint: str) -> Result:
    """What the attempt returns once it does not fail. A pod's name is not known before the pod runs."""
    begun, silent = time.monotonic(), True
    while True:
        try:
            return attempt()
        except OSError:
            waited = time.monotonic() - begun
            if waited > MEETING_S:
                raise
            if silent and waited > _SILENT_S:
                silent = False
                sys.stderr.write(f"waiting for the first machine at {endpoint}\n")
            time.sleep(_POLL_S)


def _outcome(error: ChildFailedError, *, several: bool) -> int:
    """The exit code of a worker if it is to be passed on. Otherwise 1, or EXIT_LOST on several machines, and a line on
    stderr that names the process that failed first."""
    codes = {failure.exitcode for failure in error.failures.values()}
    for code in PASSED_ON:
        if code in codes:
            return code
    rank, failure = error.get_first_failure()
    code = 1 if failure.exitcode == EXIT_STOPPED else failure.exitcode
    sys.stderr.write(f"process {rank} failed first, with exit code {code}\n")
    return EXIT_LOST if several and EXIT_STOPPED not in codes else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
