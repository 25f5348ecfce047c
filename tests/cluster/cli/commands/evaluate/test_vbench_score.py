"""`videoar evaluate vbench-score`: files of VBench in, scores out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.pretrain.evaluate.vbench import I2V, I2V_QUALITY, QUALITY, SEMANTIC


def test_a_file_for_each_dimension_gives_the_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """VBench writes `{dimension: [result, videos]}`."""
    for name, dimension in {**QUALITY, **SEMANTIC}.items():
        (tmp_path / f"{name}_eval_results.json").write_text(json.dumps({name: [dimension.high, [{"video_path": "x"}]]}))
    files = sorted(map(str, tmp_path.glob("*.json")))
    assert main(["evaluate", "vbench-score", *files]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["total"], found["quality"], found["semantic"]) == pytest.approx((1, 1, 1))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["evaluate", "vbench-score", files[0]]) == 0
    told = capsys.readouterr().out
    assert told.startswith("total                   lacks dimensions")
    assert "without a result: " in told


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", ": is not JSON"),
        ("[]", ": has no results by dimension"),
        ('{"beauty": 0.5}', ": beauty: is not a dimension of VBench"),
        ('{"scene": 50.52}', ": scene=50.52: is not a share from 0 to 1; divide percents by 100"),
        ('{"scene": []}', ": scene=[]: is not a share from 0 to 1"),
        (None, ": cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_result_is_named(
    tmp_path: Path, content: str | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Percents would give a total of 80 instead of 0.8."""
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    assert main(["evaluate", "vbench-score", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"results={path}{line}")


def test_two_results_of_one_dimension_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which of them counts must not depend on the order of files."""
    (tmp_path / "a.json").write_text('{"scene": 0.5}')
    assert main(["evaluate", "vbench-score", *[str(tmp_path / "a.json")] * 2]) == 2
    assert "scene: has two results" in capsys.readouterr().err
    (tmp_path / "a.json").write_text('{"scene": 0.5, "color": 0.5, "scene": 0.1}')
    assert main(["evaluate", "vbench-score", str(tmp_path / "a.json")]) == 2
    assert (
        capsys.readouterr().err
        == f"results={tmp_path / 'a.json'}: scene: has two results; leave one of them in the file\n"
    )
    assert main(["evaluate", "vbench-score"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_vbench_i2v_has_a_score_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its quality has no flickering, and its second score is of the picture; results of both suites are no score."""
    results = tmp_path / "results.json"
    results.write_text(json.dumps({name: dimension.high for name, dimension in (I2V_QUALITY | I2V).items()}))
    assert main(["evaluate", "vbench-score", str(results)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["total"], found["i2v"], found["semantic"]) == pytest.approx((1, 1, None))
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout.isatty", lambda: True)
        assert main(["evaluate", "vbench-score", str(results)]) == 0
    assert capsys.readouterr().out.splitlines()[2] == f"{'i2v':<24}100.00"
    (tmp_path / "other.json").write_text('{"temporal_flickering": 0.9}')
    assert main(["evaluate", "vbench-score", str(results), str(tmp_path / "other.json")]) == 2
    assert "i2v_subject and temporal_flickering: are of VBench-I2V and of VBench" in capsys.readouterr().err
