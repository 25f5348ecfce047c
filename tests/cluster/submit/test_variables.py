from __future__ import annotations

import re

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.submit.variables import Variable


def test_a_variable_is_named_read_or_written() -> None:
    """Three ways to say a variable; only the last has its value in the script."""
    assert Variable.of("WANDB_API_KEY") == Variable(name="WANDB_API_KEY")
    assert Variable.of("HF_TOKEN=@/a b") == Variable(name="HF_TOKEN", file="/a b")
    assert Variable.of("A=b=c") == Variable(name="A", value="b=c")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("WANDB_API_KEY=canary", "env=WANDB_API_KEY=***: would be written into the script"),
        ("MY_PASSWORD=canary", "env=MY_PASSWORD=***: would be written into the script"),
        ("A=s3://user:canary@bucket", "env=s3://***: contains a credential"),
        *(
            (f"{name}=canary", f"env={name}=***: would be written into the script")
            for name in ("PASSWD", "MY_CREDENTIALS", "GH_PAT", "AUTH", "DB_PWD", "DB_PASS", "PASSPHRASE", "API_KEYS")
        ),
        *(
            (f"A={value}", "env=A=***: would be written into the script; export it and write A, or A=@FILE")
            for value in ("Bearer canary", "hf_canary", "ghp_canary", "github_pat_canary", "sk-canary", "x=hf_canary")
        ),
        ("A=@", "env=A=@: names no file; write A=@FILE"),
        ("UID=0", "env=UID: is set by bash or Slurm itself; leave it out"),
        ("EUID=0", "env=EUID: is set"),
        ("PPID=@f", "env=PPID: is set"),
        ("SLURM_NNODES=3", "env=SLURM_NNODES: is set"),
        ("A=canary\nrm x", "env=A: has a value with a line break"),
        ("A B=c", "is not the name of a variable; write NAME, NAME=VALUE or NAME=@FILE"),
        ("$(x)=c", "is not the name of a variable"),
        ("", "is not the name of a variable"),
    ],
)
def test_secrets_and_broken_names_are_refused(word: str, message: str) -> None:
    """A key in a script is in the file system, in the queue and in every log of the job."""
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        Variable.of(word)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "word",
    [
        *("PATH=/a:/b", "PATTERN=x", "COMPAT=1", "MAX_TOKENS=4096", "TOKENIZERS_PARALLELISM=0", "PWD=/a", "BYPASS=1"),
        *("HF_HOME=/data/hf_cache", "TASK=risk-free", "NCCL_DEBUG=INFO", "SLURMISH=1", "AUTHOR=x", "KEYBOARD=de"),
    ],
)
def test_ordinary_names_and_values_pass(word: str) -> None:
    """A rule that is too wide makes people go around it."""
    name, _, value = word.partition("=")
    assert Variable.of(word) == Variable(name=name, value=value)
