"""Clients of the engines that jobs are submitted to: Slurm, Ray and Kubernetes."""

from __future__ import annotations

import re
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.doctor.libraries import version
from videoar.cluster.doctor.programs import answer_of
from videoar.cluster.ground.extras import install
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.process import variable
from videoar.cluster.ground.processes.surroundings import home
from videoar.cluster.submit.ray_jobs.api import OPENER, authorization

_ANSWER_S = 8.0
_CLIENT_VERSION = re.compile(r"Client Version: v?(\d+(?:\.\d+)*)")
"""What every kubectl prints, with the number; some clouds add words of their own to it."""
SLURM_CONF = Path("/etc/slurm/slurm.conf")


def slurm() -> Finding:
    """Slurm's commands, and its controller where one is configured."""
    if shutil.which("sbatch") is None or shutil.which("scontrol") is None:
        return warned("Slurm", "sbatch is not installed", "needed only for `videoar submit --to slurm`: slurm-client")
    code, named = _said("sbatch", "--version")
    named = "sbatch is installed" if code else named  # without a configuration it does not even print its version
    conf = variable("SLURM_CONF")
    if conf is None and not SLURM_CONF.exists():
        return warned("Slurm", f"{named}, not configured", "set SLURM_CONF, or submit from a login node")
    code, answer = _said("scontrol", "ping")
    if code or "UP" not in answer.split():
        remedy = "ask the administrator, or check SLURM_CONF and munge"
        return failed("Slurm", f"{named}; scontrol ping: {answer or 'no answer'}", remedy)
    return ok("Slurm", f"{named}, {answer}")


def ray_jobs() -> Finding:
    """The Ray cluster of RAY_ADDRESS. Ray itself is a check of its own."""
    address = variable("RAY_ADDRESS") or variable("RAY_API_SERVER_ADDRESS")
    if version("ray") == "absent":
        return warned("Ray cluster", "Ray is not installed", install("data"))
    if address is None:
        return ok("Ray cluster", "RAY_ADDRESS is not set: none is used")
    try:
        answer = _dashboard(address) if address.startswith("http") else _port(address.removeprefix("ray://"))
    except (OSError, ValueError) as error:
        remedy = "check RAY_ADDRESS, RAY_AUTH_TOKEN_PATH and the cluster"
        return failed("Ray cluster", f"{address}: {getattr(error, 'reason', None) or error}", remedy)
    return ok("Ray cluster", f"{address} {answer}")


def kubernetes() -> Finding:
    """kubectl, and the cluster of its configuration."""
    if shutil.which("kubectl") is None:
        return warned("Kubernetes", "kubectl is not installed", "needed only for `videoar submit --to kubernetes`")
    code, client = _said("kubectl", "version", "--client")
    number = _CLIENT_VERSION.search(client)
    if code or number is None:
        tell = failed if _has_cluster() else warned
        remedy = "install kubectl again; only `videoar submit --to kubernetes` needs it"
        return tell("Kubernetes", f"kubectl does not work: {client[:120] or 'no answer'}", remedy)
    named = f"kubectl {number[1]}"
    if not _has_cluster():
        return warned("Kubernetes", f"{named}, not configured", "set KUBECONFIG")
    code, answer = _said("kubectl", "version", f"--request-timeout={_ANSWER_S:.0f}s")
    if code:
        return failed("Kubernetes", f"{named}: {answer[-160:] or 'no answer'}", "check KUBECONFIG and your access")
    return ok("Kubernetes", answer)


def _has_cluster() -> bool:
    """Whether kubectl knows a cluster."""
    configured = variable("KUBECONFIG") or variable("KUBERNETES_SERVICE_HOST")
    return configured is not None or (home() / ".kube" / "config").exists()


def _said(*command: str) -> tuple[int, str]:
    """Exit code of a program, and what it said as one line; no answer in time is a failure."""
    done = answer_of(*command, limit_s=2 * _ANSWER_S)
    return done.returncode, " ".join((done.stdout + " " + done.stderr).split())


def _port(address: str) -> str:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    return "accepts connections"


def _dashboard(address: str) -> str:
    """Ask Ray's dashboard for its version, with the token of this user."""
    request = urllib.request.Request(urllib.parse.urljoin(address, "/api/version"), headers=authorization())
    try:
        with OPENER.open(request, timeout=_ANSWER_S) as answer:
            return f"answers ({answer.status})"
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise ValueError(f"refuses with {refusal.code} {refusal.reason}") from refusal
