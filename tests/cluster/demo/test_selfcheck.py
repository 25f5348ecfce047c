"""The check finds what training and inference do differently, and tells it from a clip that was not learned."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.demo import selfcheck
from videoar.cluster.demo.selfcheck import SelfCheck
from videoar.cluster.entry import main
from videoar.cluster.ground.processes.preemption import Preempted
from videoar.pretrain.generate.decoder import CachedDecoder

from ...forked import run_command

pytestmark = pytest.mark.slow

SMALL = ("--size", "32x32", "--num-frames", "17", "--steps", "260")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a check, whose run is complete."""
    out = tmp_path_factory.mktemp("selfcheck")
    assert run_command("selfcheck", "--out", out, *SMALL).splitlines()[-1] == "ok"  # five times as fast untyped
    return out


def test_the_clip_comes_back(checked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bit for bit, by the export and the public call; a finished run is not trained again."""
    assert main(["selfcheck", "--out", str(checked), *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["train", "export", "bits", "pixels", "ok"]
    assert lines[2] == "bits    100.000% of 400 are the clip's, generated freely and greedily"


@pytest.mark.drill
def test_with_context_tokens() -> None:
    """The other history has passes of its own."""
    assert run_command("selfcheck", *SMALL, "--history", "context").splitlines()[-1] == "ok"


def test_a_difference_of_inference_is_found(
    checked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions that stay those of the second frame: teacher-forced figures do not show that."""
    monkeypatch.setattr(CachedDecoder, "advance", lambda decoder: decoder.cache.advance() or decoder._is_start.zero_())
    assert main(["selfcheck", "--out", str(checked), *SMALL]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("selfcheck failed: frame ")
    assert last.endswith("given the clip's own history, all are right: training and inference differ")


def test_a_clip_that_is_not_learned(capsys: pytest.CaptureFixture[str]) -> None:
    """Two steps learn nothing, and the remedy is another."""
    assert main(["selfcheck", *SMALL[:-1], "2"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("selfcheck failed: frame 1, scale 1 (1x1): ")
    assert last.endswith("it is not learned yet, use more --steps")


def test_a_clip_without_end_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It would be drawn and encoded for hours, in memory."""
    assert main(["selfcheck", "--num-frames", "100001"]) == 2
    assert capsys.readouterr().err == "num_frames=100001: is above 257; use 257 or less\n"


def test_a_signal_leaves_nothing_without_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is removed with its folder, so no command resumes it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def stop(check: SelfCheck, out: Path, say: object) -> None:
        assert list(tmp_path.iterdir()) == [out]
        (out / "run").mkdir()
        raise Preempted("step 5 of 400 is saved")

    monkeypatch.setattr(selfcheck, "selfcheck", stop)
    assert main(["selfcheck"]) == 1
    assert capsys.readouterr().err == "stopped by a signal; nothing is kept without --out\n"
    assert not list(tmp_path.iterdir())


def test_a_size_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, before anything is trained."""
    assert main(["selfcheck", "--size", "33x33"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("size=33x33: ")
    assert said.count("\n") == 1
