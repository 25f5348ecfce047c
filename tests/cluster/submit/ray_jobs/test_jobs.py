"""What Ray's Jobs API is asked and how its answers are read; answers are those of Ray 2.60. The real cluster is in
`test_ray_cluster.py`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from videoar.cluster.entry import main
from videoar.cluster.submit.ray_jobs import jobs
from videoar.cluster.submit.ray_jobs.jobs import status_of, usage_of

from ....forked import PATIENCE_S, Forked

GOLDEN = Path(__file__).parents[3] / "golden" / "ray"
TOKEN = "the-token-of-the-cluster"
HEAD = "http://10.0.0.5:8265"
CASES = {
    "train": ["t2v_4b@64", "--nodes", "8", "--gpus", "8", "--cpus", "96", "--run", "/shared/4b", "--doctor"],
    "tokenizer": ["tokenizer_ucf101", "--command", "tokenizer train", "--nodes", "2", "--gpus", "8"],
    "data_run": ["debug", "--command", "data run", "--output", "s3://bucket/shards"],
    "data_text": ["debug", "--command", "data text", "--gpus", "1", "--output", "s3://bucket/shards"],
    "evaluate": ["small-world", "--command", "evaluate world", "--gpus", "1", "--out", "figures/small"],
}
VARIABLES = ["--env", "HF_TOKEN=@/shared/.hf token", "NCCL_DEBUG=WARN", "--venv", "venv"]
USAGE = {"CPU": [3.0, 8.0], "GPU": [0.0, 2.0]}


class Head(BaseHTTPRequestHandler):
    """Answers as the dashboard of a Ray head does."""

    asked: ClassVar[list[tuple[str, str, Any]]]
    version = "2.60.0"
    job: ClassVar = {"status": "SUCCEEDED", "message": "Job finished successfully.", "driver_exit_code": 0}

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null"))

    def _answer(self, body: Any) -> None:
        self.asked.append((self.command, self.path, body))
        answers = {
            "/api/version": {"version": "4", "ray_version": self.version},
            "/api/cluster_status": {"data": {"clusterStatus": {"loadMetricsReport": {"usage": USAGE}}}},
            "/api/jobs/": {"submission_id": "raysubmit_1", "job_id": "raysubmit_1"},
            "/api/jobs/raysubmit_1": self.job,
            "/api/jobs/raysubmit_1/logs": {"logs": "step 1\nstep 2\n"},
            "/api/jobs/raysubmit_1/stop": {"stopped": True},
        }
        given = self.headers.get("Authorization")
        code = 401 if given is None else 403 if given != f"Bearer {TOKEN}" else 200 if self.path in answers else 404
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(answers.get(self.path)).encode() if code == 200 else b"Unauthorized\n")

    def log_message(self, *words: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Head]]:
    """A head on loopback, and the variables that reach it."""
    handler = type("ThisHead", (Head,), {"asked": []})
    monkeypatch.setattr(jobs, "_installed", lambda: "2.60.0")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("RAY_ADDRESS", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", CASES)
def test_the_script_is_the_golden_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To accept a change, run with WRITE_GOLDEN=1 and read the difference."""
    monkeypatch.chdir(tmp_path)
    assert main(["submit", *CASES[name], *VARIABLES, "--to", "ray", "--dashboard", HEAD, "--dry-run"]) == 0
    text = capsys.readouterr().out.replace(str(tmp_path), "/shared/work")
    golden = GOLDEN / f"{name}.sh"
    if "WRITE_GOLDEN" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text()
    assert not list(tmp_path.iterdir()), "a dry run writes nothing"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", CASES)
def test_the_script_passes_shellcheck(name: str) -> None:
    text = (GOLDEN / f"{name}.sh").read_text()
    checked = subprocess.run(["shellcheck", "-"], input=text, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stdout


def test_a_job_is_checked_sent_watched_and_cancelled(head: type[Head], capsys: pytest.CaptureFixture[str]) -> None:
    """No ray is needed here for that; the token is in no file that is written and in no message."""
    assert main(["submit", "debug", "--to", "ray", "--run", "a", "--wait"]) == 0
    out, said = capsys.readouterr()
    assert out == "raysubmit_1\n"
    assert "5 of 8 CPUs are free now, 1 are asked for" in said
    assert said.endswith("step 1\nstep 2\n")
    assert main(["status", "raysubmit_1"]) == 0
    assert main(["logs", "raysubmit_1"]) == 0
    assert main(["cancel", "raysubmit_1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("raysubmit_1 debug-train: done, exit code 0")
    (sent,) = [body for command, path, body in head.asked if (command, path) == ("POST", "/api/jobs/")]
    assert sent["metadata"] == {"name": "debug-train"}
    assert sent["entrypoint"].endswith("--machines=1 --cpus=1 --gpus=0 --requeues=20 --notice=300 jobs/debug-train.sh")
    assert head.asked[-1][:2] == ("POST", "/api/jobs/raysubmit_1/stop")
    written = [path.read_text() for path in Path("jobs").iterdir()]
    assert not any(TOKEN in text for text in [*written, out, said, shown])


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        ({"RAY_AUTH_TOKEN": "wrong-token"}, 2, "RAY_AUTH_TOKEN=***: is refused by"),
        ({"RAY_AUTH_MODE": ""}, 2, "asks for a token; set RAY_AUTH_MODE=token"),
        ({"RAY_AUTH_TOKEN_PATH": "nowhere"}, 2, "RAY_AUTH_TOKEN_PATH=nowhere: is not a file"),
        ({"RAY_ADDRESS": ""}, 2, "dashboard='': is not given; give --dashboard"),
        ({"RAY_ADDRESS": "10.0.0.5:6379"}, 2, "is not that of a dashboard; give --dashboard http://HOST:8265"),
        ({"RAY_ADDRESS": "http://user:pass-word@10.0.0.5:8265"}, 2, "dashboard="),
        ({"RAY_ADDRESS": "http://127.0.0.1:1"}, 1, "does not answer as Ray's dashboard does"),
    ],
)
@pytest.mark.usefixtures("head")
def test_what_keeps_from_the_cluster_is_one_line(
    variables: dict[str, str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["submit", "debug", "--to", "ray", "--run", "a"]) == code
    said = capsys.readouterr().err.splitlines()[-1]
    assert message in said
    assert not any(secret in said for secret in ("wrong-token", "pass-word", TOKEN))
    assert not Path("jobs").exists()


def test_another_ray_is_refused_before_anything_is_sent(head: type[Head], capsys: pytest.CaptureFixture[str]) -> None:
    """Ray's processes join only those of the same version: the job would fail after it has waited."""
    head.version = "2.9.1"
    assert main(["submit", "debug", "--to", "ray", "--run", "a"]) == 2
    assert "runs Ray 2.9.1" in capsys.readouterr().err.splitlines()[-1]
    assert "POST" not in {command for command, _, _ in head.asked}


def test_without_ray_here(
    head: type[Head], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A laptop needs no ray to submit; nor is it imported."""
    monkeypatch.setattr(jobs, "_installed", lambda: None)
    assert main(["submit", "debug", "--to", "ray", "--run", "a"]) == 0
    assert "ray is not installed here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--time", "2d"], "time=2d: has no effect on Ray"),
        (["--image", "x"], "image=x: has no effect on Ray; start the cluster in that image"),
        (["--env", "HF_TOKEN"], "env=HF_TOKEN: is a secret of this shell"),
        (["--command", "data run", "--output", "x", "--nodes", "2"], "nodes=2: has no effect"),
        (
            ["--command", "data run", "--output", "x", "--array", "2"],
            "array=2: has no effect on Ray; leave it out: data.act",
        ),
        (
            ["--command", "evaluate fvd", "--detector", "rf-fvd", "--features", "kept", "--array", "2"],
            "array=2: has no effect on Ray; submit each part as a job: --part 1/8 --name part1",
        ),
    ],
)
@pytest.mark.usefixtures("head")
def test_what_ray_cannot_use_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-secret-value")
    given = ["debug", "debug"] if "evaluate fvd" in words else ["debug"]
    assert main(["submit", *given, "--to", "ray", *words]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert message in said
    assert "a-secret-value" not in said


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [
        (None, "unknown", 1),
        ({"status": "PENDING", "message": "Job has not started yet.", "driver_exit_code": None}, "queued", 1),
        ({"status": "RUNNING", "message": None}, "running", 1),
        ({"status": "STOPPED", "message": "Job was intentionally stopped.", "driver_exit_code": None}, "cancelled", 1),
        ({"status": "FAILED", "message": "exit code 75, last logs:\nx", "driver_exit_code": 75}, "preempted", 75),
        ({"status": "FAILED", "message": "exit code 2", "driver_exit_code": 2}, "failed", 2),
        ({"status": "FAILED", "message": "the head died", "driver_exit_code": None}, "failed", 1),
        ({"status": "SUCCEEDED", "message": "", "driver_exit_code": 0}, "done", 0),
    ],
)
def test_states(answer: dict[str, Any] | None, state: str, code: int) -> None:
    status = status_of(answer)
    assert (status.state, status.code_for_caller) == (state, code)
    assert "\n" not in status.detail


def test_a_cluster_that_has_not_reported_yet() -> None:
    """Right after its start the dashboard has a text in the place of figures."""
    assert usage_of({"data": {"clusterStatus": "No cluster status."}}) is None
    assert usage_of(None) is None


def drive(script: Path, requeues: int) -> int:
    """The driver as Ray runs it, on a cluster of its own."""
    from videoar.cluster.submit.ray_jobs import machines

    sys.argv = [
        "ray_machines",
        "--machines=1",
        "--cpus=1",
        "--gpus=0",
        f"--requeues={requeues}",
        "--notice=60",
        str(script),
    ]
    return machines.main()


@pytest.mark.slow
@pytest.mark.drill
@pytest.mark.parametrize(("starts", "requeues", "code"), [(3, 1, 75), (3, 5, 0)])
def test_the_driver_starts_again_after_75_only(
    tmp_path: Path, run_driver: Callable[[Path, int], tuple[int, str]], starts: int, requeues: int, code: int
) -> None:
    """A real Ray on this machine: the script saves twice, then ends; or is given up when it has had its turns."""
    script = tmp_path / "script.sh"
    script.write_text(
        f'echo start of "$NODE_RANK" of "$NNODES"; echo x >>{tmp_path}/starts\n'
        f"[ $(wc -l <{tmp_path}/starts) -lt {starts} ] && exit 75; exit 0\n"
    )
    ended, said = run_driver(script, requeues)
    assert ended == code, said
    assert said.count("start of 0 of 1") == min(starts, requeues + 1)
    assert said.count("started again") == min(starts - 1, requeues + 1 if code else starts - 1)
    if code:
        assert re.search(r"started again 1 times: submit it again", said)


@pytest.mark.drill
@pytest.mark.parametrize(
    ("first", "code", "said"),
    [
        ("exit 3", 3, ""),
        ("kill -9 $(ps -o ppid= $PPID); sleep 60", 0, "machine 0 is lost\nsaved; started again, 1 of at most 1 times"),
    ],
)
def test_a_failure_ends_the_job_and_a_lost_machine_does_not(
    first: str, code: int, said: str, tmp_path: Path, run_driver: Callable[[Path, int], tuple[int, str]]
) -> None:
    """A crash would come again, and burn GPUs; a machine that is gone has others that can take its place."""
    script = tmp_path / "script.sh"
    script.write_text(f"[ -e {tmp_path}/begun ] && exit 0; touch {tmp_path}/begun; {first}\n")
    ended, written = run_driver(script, 1)
    assert ended == code, written
    assert said in written


@pytest.mark.drill
def test_a_trainer_saves_though_ray_ends_its_driver(tmp_path: Path) -> None:
    """Seconds after `cancel` Ray kills the driver, and with it the actors; a large model takes minutes to save."""
    script = tmp_path / "script.sh"
    save = f"sleep 6; touch {tmp_path}/saved; exit 75"
    script.write_text(f"trap '{save}' TERM; touch {tmp_path}/begun; while :; do sleep 0.1; done\n")
    driver = Forked(drive, script, 1, environment={"RAY_ADDRESS": ""})
    until((tmp_path / "begun").exists)
    driver.send_signal(signal.SIGTERM)
    time.sleep(3)  # that is what Ray waits
    driver.kill()
    driver.wait()
    assert not (tmp_path / "saved").exists(), "it is still saving"
    until((tmp_path / "saved").exists)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def run_driver() -> Callable[[Path, int], tuple[int, str]]:
    def run(script: Path, requeues: int) -> tuple[int, str]:
        process = Forked(drive, script, requeues, environment={"RAY_ADDRESS": ""})
        out, err = process.communicate()
        assert process.returncode is not None
        return process.returncode, out + err

    return run
