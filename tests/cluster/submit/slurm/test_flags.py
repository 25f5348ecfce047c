from __future__ import annotations

import re

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.submit.slurm.flags import refuse_flags


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("output=x.log", "flags=output: is set by the script itself; give --jobs FOLDER and --name NAME"),
        ("out=x.log", "flags=out: is set by the script itself; give --jobs"),
        ("nodes=4", "flags=nodes: is set by the script itself; give --nodes"),
        ("no-requeue", "flags=no-requeue: is set by the script itself; give --requeues 0"),
        ("time=10", "flags=time: is set by the script itself; give --time"),
        ("gpus-per-node=4", "flags=gpus-per-node: is set by the script itself; give --gpus"),
        ("test-only", "flags=test-only: is set by the script itself; give --dry-run"),
        ("export=ALL,HF_TOKEN=canary", "flags=export=***: would write values into the script; give --env NAME"),
        ("comment=hf_canary", "flags=comment=***: would write a secret into the script"),
    ],
)
def test_flags_that_contradict_the_script_or_hold_a_secret(flag: str, message: str) -> None:
    """The later option wins in silence: the log is elsewhere, and the job is never told to save."""
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        refuse_flags([flag])
    assert "canary" not in str(raised.value)


def test_other_flags_pass() -> None:
    """What sbatch alone knows is passed on."""
    refuse_flags(
        [
            "exclusive",
            "mem=0",
            "constraint=h200",
            "gres=gpu:h200:8",
            "export=NONE",
            "comment=a",
            "time-min=60",
            "nice=5",
        ]
    )


def test_the_command_refuses_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Also without sending."""
    assert main(["submit", "debug", "--to", "slurm", "--dry-run", "--flags", "exclusive", "error=x"]) == 2
    assert capsys.readouterr().err == "flags=error: is set by the script itself; leave it out: the log has both\n"
