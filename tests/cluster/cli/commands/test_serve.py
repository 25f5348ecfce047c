"""`videoar serve`: what is refused before weights are opened, in one line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.exported import export_folder
from videoar.cluster.cli.commands.serve import Serve, _open
from videoar.cluster.entry import main


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.org"])
def test_only_loopback_is_served(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has no passwords, and runs on machines that have addresses on a network."""
    assert main(["serve", "weights", "--host", host, "--port", "7000"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"host={host}: is not this machine's loopback address")
    assert "ssh -L 7000:127.0.0.1:7000" in said
    assert said.count("\n") == 1


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise this is found out after minutes of opening weights."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert main(["serve", "weights", "--port", str(port)]) == 2
    assert capsys.readouterr().err == f"port={port}: cannot be used (Address already in use); give another one\n"


@pytest.mark.slow
def test_an_untrained_tokenizer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page would show noise, whatever the generator has learned."""
    (checkpoint,) = _open(Serve(weights=export_folder(tmp_path / "weights")))
    assert "is untrained" in checkpoint.pipeline.tokenizer.warning
    assert capsys.readouterr().err == f"{checkpoint.pipeline.tokenizer.warning}\n"
