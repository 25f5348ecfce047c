from __future__ import annotations

import socket
from pathlib import Path

import pytest

from videoar.cluster.doctor import clients
from videoar.cluster.doctor.programs import answer_of

from .programs import install
from .test_store import server


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No client is installed or configured."""
    install(tmp_path / "bin", monkeypatch)
    for name in ("SLURM_CONF", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(clients, "SLURM_CONF", tmp_path / "slurm.conf")


def test_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that is down is found before an hour is spent on a script."""
    assert clients.slurm().state == "warn"
    up = "echo 'Slurmctld(primary) at head is UP'"
    install(tmp_path / "bin", monkeypatch, sbatch="echo slurm 24.11.5", scontrol=up)
    assert (clients.slurm().state, clients.slurm().found) == ("warn", "slurm 24.11.5, not configured")
    (tmp_path / "slurm.conf").touch()
    assert (clients.slurm().state, clients.slurm().found) == ("ok", "slurm 24.11.5, Slurmctld(primary) at head is UP")
    install(tmp_path / "bin", monkeypatch, scontrol="echo 'Slurmctld(primary) at head is DOWN'; exit 1")
    found = clients.slurm()
    assert (found.state, "head is DOWN" in found.found) == ("fail", True)


def test_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clients.kubernetes().state == "warn"
    says = 'test "$2" = --client && echo "Client Version: v1.33.1-dispatcher Kustomize Version: v5" && exit 0\n'
    install(tmp_path / "bin", monkeypatch, kubectl=says + "echo 'Client Version: v1.33.1 Server Version: v1.33.0'")
    assert (clients.kubernetes().state, clients.kubernetes().found) == ("warn", "kubectl 1.33.1, not configured")
    monkeypatch.setenv("KUBECONFIG", "config")
    assert (clients.kubernetes().state, "Server Version" in clients.kubernetes().found) == ("ok", True)
    install(tmp_path / "bin", monkeypatch, kubectl=says + "echo 'connection refused' >&2; exit 1")
    assert (clients.kubernetes().state, "connection refused" in clients.kubernetes().found) == ("fail", True)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (r"printf '\377\033[2J'", "??[2J"),
        ("exec /bin/sleep 100", "no answer within 0.2 s"),
        ("exit 3", "no answer"),
        ("echo hello", "hello"),
    ],
)
def test_a_broken_kubectl_is_no_failure_where_no_cluster_is_used(
    script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on PATH of machines that train alone; the line names the program, not Python's exception."""
    install(tmp_path / "bin", monkeypatch, kubectl=script)
    monkeypatch.setattr(clients, "_ANSWER_S", 0.1 if "sleep" in script else 8.0)
    found = clients.kubernetes()
    assert (found.state, found.found) == ("warn", f"kubectl does not work: {said}")
    monkeypatch.setenv("KUBECONFIG", "config")
    assert clients.kubernetes().state == "fail"


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    """Another machine's binary, or half of one."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    assert answer_of(str(program), limit_s=8.0).stderr == "cannot be run (Exec format error)"


def test_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that is gone, and one that refuses this user's token."""
    assert clients.ray_jobs().state == "ok"
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert (clients.ray_jobs().state, clients.ray_jobs().found) == ("ok", f"{address} accepts connections")
    assert clients.ray_jobs().state == "fail"
    with server(0) as url:
        monkeypatch.setenv("RAY_ADDRESS", url)
        monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")
        found = clients.ray_jobs()
    assert (found.state, found.found) == ("fail", f"{url}: refuses with 501 Unsupported method ('GET')")
    monkeypatch.setattr(clients, "version", lambda distribution: "absent")
    assert clients.ray_jobs().state == "warn"
