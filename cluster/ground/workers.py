"""torchrun's agent: `python -m videoar.cluster.ground.workers PROCESSES MACHINES MACHINE HOST:PORT ARGUMENTS`.

torchrun itself returns 1 for every exit code, and prints its own traceback below a worker's one line.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from videoar.cluster.ground.process import announce_as_parent, end_with_parent

PASSED_ON = (2, 75)
"""Exit codes of a worker that become the job's: wrong input, saved after a signal."""


def main(arguments: Sequence[str]) -> int:
    """Run `videoar ARGUMENTS` in the processes of this machine, with those of the others; the exit code of the job."""
    signal.signal(
        signal.SIGUSR1, signal.SIG_IGN
    )  # schedulers send it to all processes; the launcher forwards it as SIGTERM
    end_with_parent()
    announce_as_parent()
    logging.disable(logging.CRITICAL)  # torch's agent reports each signal; its loggers set levels of their own
    processes, machines, machine, endpoint, *words = arguments
    config = LaunchConfig(
        min_nodes=int(machines),
        max_nodes=int(machines),
        nproc_per_node=int(processes),
        max_restarts=0,
        run_id="videoar",
        rdzv_backend="c10d",
        rdzv_endpoint=endpoint,
        rdzv_configs={"is_host": machine == "0"},
        local_addr=_address_towards(endpoint),
    )
    try:
        elastic_launch(config, sys.executable)("-u", "-m", "videoar.cluster.entry", *words)
    except ChildFailedError as error:
        return _outcome(error)
    except SignalException:
        return 1
    except (RuntimeError, OSError, RendezvousError) as error:
        sys.stderr.write(f"the processes cannot be started: {' '.join(str(error).split())}\n")
        return 1
    return 0


def _address_towards(endpoint: str) -> str:
    """The address of this machine on the way to the place where the agents meet. Nothing is sent."""
    host, _, port = endpoint.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host.strip("[]"), int(port) or 1))
        address: str = probe.getsockname()[0]
        return address


def _outcome(error: ChildFailedError) -> int:
    """The exit code of a worker if it is one to pass on; otherwise 1, and who failed first on stderr."""
    codes = {failure.exitcode for failure in error.failures.values()}
    for code in PASSED_ON:
        if code in codes:
            return code
    rank, failure = error.get_first_failure()
    sys.stderr.write(f"process {rank} failed first, with exit code {failure.exitcode}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
