from __future__ import annotations

from pathlib import Path

import av
import pytest

from videoar.cluster.doctor import decoder


@pytest.mark.slow
def test_a_clip_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that imports may lack its libraries, or a codec."""
    assert decoder.decoders().state == "ok"
    monkeypatch.setattr(decoder, "_GREY", 16)
    write = decoder._write

    def other(path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoder, "_GREY", 200)
            write(path)

    monkeypatch.setattr(decoder, "_write", other)
    assert "other colours" in decoder.decoders().found
    monkeypatch.setattr(decoder, "_write", lambda path: path.write_bytes(b"no video"))
    assert decoder.decoders().state == "fail"
    monkeypatch.setattr(decoder, "_write", write)
    monkeypatch.setattr(av, "codecs_available", {"h264"})
    assert (decoder.decoders().state, "without hevc" in decoder.decoders().found) == ("warn", True)
