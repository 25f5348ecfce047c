"""The files of a source as columns: the same as the listing gives, with pictures told from videos by name."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.tokenizer_clips import source_files
from videoar.data_pipeline.tokenizer_clips.source_files import SourceFiles


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    """A tar of ten files of any bytes: they are listed, not opened."""
    (tmp_path / "any").write_bytes(b"any bytes")
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for i in range(10):
            file.add(tmp_path / "any", f"{i}.{'png' if i % 4 == 0 else 'mp4'}")
        file.add(tmp_path / "any", "../out.mp4")
    return tmp_path / "a.tar"


def test_columns_hold_what_reading_needs(
    tar: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A place in a tar that is off by one member shows another clip, and a picture would be asked for 17 frames."""
    monkeypatch.setattr(source_files, "_ROWS_AT_ONCE", 4)
    source = SourceConfig(kind="webdataset", path=str(tar))
    found, listed = SourceFiles(source, "clips.0.source"), list_sources(source)[0]
    assert (len(found), found.num_videos) == (10, 7)
    for one, other in zip(found, listed, strict=True):
        assert (one.name, one.offset, one.size_bytes) == (other.name, other.offset, other.size_bytes)
        assert (one.start_s, one.end_s) == (other.start_s, other.end_s)
    draws = np.random.default_rng(0)
    assert {found[found.draw(5, draws)].member for _ in range(100)} == {f"{i}.mp4" for i in range(10) if i % 4}
    assert len({found.draw(1, draws) for _ in range(100)}) == 10
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"1 file of {tar} is left out: a.tar!../out.mp4: ")


def test_a_source_without_files_is_refused(tmp_path: Path) -> None:
    """Training would fail only at the first clip that is drawn from it."""
    with tarfile.open(tmp_path / "a.tar", "w"):
        pass
    with pytest.raises(InputError, match=r"^clips\.2\.source\.path=.*lists no video or picture"):
        SourceFiles(SourceConfig(kind="webdataset", path=str(tmp_path)), "clips.2.source")
