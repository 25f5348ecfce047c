"""A real Slurm cluster in a temporary folder, on loopback: munged, slurmctld, and a slurmd per pretended machine.

It needs root and Debian's packages; nothing below /etc or /var is read or written, and SLURM_CONF is its only variable.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PACKAGES = "munge slurmctld slurmd slurm-client"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel", "sinfo")
_SBIN = "/usr/sbin"
_PATIENCE_S = 60.0

_CONF = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=3600
SlurmdParameters=config_overrides
GresTypes=gpu
MailProg=/bin/true
"""


def missing() -> str:
    """Why a cluster cannot be started here; empty if it can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:{_SBIN}") is None]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install --no-install-recommends {PACKAGES}"
    return "" if os.getuid() == 0 else "a Slurm cluster of our own needs root"


class SlurmCluster:
    """Two machines, n1 and n2, of 8 CPUs and 2 GPUs that open like /dev/null. No accounting."""

    def __init__(self, *conf: str, nodes: int = 2, gpus: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # munged refuses a folder that not everyone may enter
        self.environment = {"SLURM_CONF": f"{self.folder}/slurm.conf"}
        self._conf, self._nodes, self._gpus = conf, nodes, gpus
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all daemons; returns when the machines are idle."""
        self._write_files()
        munge = (f"--socket={self.folder}/munge.sock", f"--key-file={self.folder}/munge.key")
        files = (f"--pid-file={self.folder}/munged.pid", f"--seed-file={self.folder}/munge.seed")
        self._daemon("munged", "--foreground", *munge, *files, f"--log-file={self.folder}/munged.log")
        self.wait_for((self.folder / "munge.sock").exists)
        self._daemon("slurmctld", "-D", "-c", "-f", self.environment["SLURM_CONF"])
        for node in range(1, self._nodes + 1):
            self.start_node(f"n{node}")
        self.wait_for(lambda: self.ask("sinfo", "-h", "-N", "-o", "%t").split().count("idle") == self._nodes)

    def start_node(self, name: str) -> None:
        """Start the daemon of a machine."""
        self._daemon("slurmd", "-D", "-N", name, "-f", self.environment["SLURM_CONF"], key=name)

    def ask(self, *words: str) -> str:
        """What a program of Slurm writes to stdout."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(words, env=environment, text=True, capture_output=True, timeout=_PATIENCE_S).stdout

    def start_now(self, job: str) -> None:
        """A job that was queued again waits for two minutes; two seconds are enough. A run that begins in the second in
        which the one before was killed is killed, too."""
        self.wait_for(lambda: "Reason=BeginTime" in self.ask("scontrol", "show", "job", job))
        self.ask("scontrol", "update", f"JobId={job}", "StartTime=now+2")

    def wait_for(self, ready: Callable[[], object], patience_s: float = _PATIENCE_S) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + patience_s
        while not ready():
            ended = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            assert not ended, f"{ended} ended\n{self._logs()}"
            assert time.monotonic() < end, self._logs()
            time.sleep(0.05)

    def stop(self) -> None:
        """End every job and daemon that this object has started, and remove the folder."""
        self.ask("scancel", "--full", "--signal=KILL", f"--user={os.getuid()}")
        for number, patience_s in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
            for process in [
                *_steps(self.environment["SLURM_CONF"]),
                *(d.pid for d in self._daemons.values() if d.poll() is None),
            ]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            end = time.monotonic() + patience_s
            while any(d.poll() is None for d in self._daemons.values()) and time.monotonic() < end:
                time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_files(self) -> None:
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        host = socket.gethostname().split(".")[0]
        port, *ports = _free_ports(self._nodes + 1)
        lines = [_CONF.format(folder=self.folder, host=host, port=port), *self._conf]
        for number, of_node in enumerate(ports, start=1):
            (self.folder / f"spool-n{number}").mkdir()
            place = f"NodeHostname={host} NodeAddr=127.0.0.1 Port={of_node}"
            lines.append(f"NodeName=n{number} {place} CPUs=8 RealMemory=4000 Gres=gpu:{self._gpus}")
        lines.append(f"PartitionName=here Nodes=n[1-{self._nodes}] Default=YES DefaultTime=60 State=UP")
        for number in range(self._gpus):
            os.mknod(self.folder / f"gpu{number}", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        devices = f"{self.folder}/gpu[0-{self._gpus - 1}]"
        (self.folder / "gres.conf").write_text(f"NodeName=n[1-{self._nodes}] Name=gpu File={devices}\n")
        version = subprocess.run(["/usr/sbin/slurmd", "-V"], text=True, capture_output=True).stdout.split()[-1]
        if int(version.split(".")[0]) >= 23:  # otherwise slurmd asks for a cgroup tree of its own
            (self.folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        (self.folder / "slurm.conf").write_text("\n".join(lines) + "\n")

    def _daemon(self, program: str, *words: str, key: str = "") -> None:
        with (self.folder / f"{key or program}.out").open("ab") as out:
            self._daemons[key or program] = subprocess.Popen(
                [f"{_SBIN}/{program}", *words],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.[lo]*")
        )


def _free_ports(count: int) -> Sequence[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [opened.getsockname()[1] for opened in sockets]


def _steps(conf: str) -> list[int]:
    """Process ids of this cluster's step daemons, also of those whose slurmd is gone."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            mine = f"SLURM_CONF={conf}".encode() in (place / "environ").read_bytes().split(b"\0")
            if mine and (place / "comm").read_text().strip() == "slurmstepd":
                found.append(int(place.name))
    return found
