"""Files of the user: whatever is in them, the answer is the tensors or one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.weights_file import check_weights, read_tensors

GOOD = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}
WRONG: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(b"PK\3\4abcde"),
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("<html>not found</html>"),
    "list": lambda path: torch.save([torch.ones(1)], path),
    "numbers": lambda path: torch.save({"a": 1}, path),
    "nan": lambda path: torch.save({"a": torch.tensor([float("nan")])}, path),
    "whole numbers": lambda path: torch.save({"a": torch.ones(2, dtype=torch.int64)}, path),
    "complex": lambda path: torch.save({"a": torch.ones(2, dtype=torch.complex64)}, path),
    "no data": lambda path: torch.save({"a": torch.ones(2, device="meta")}, path),
    "sparse": lambda path: torch.save({"a": torch.ones(2).to_sparse()}, path),
    "absent": lambda path: None,
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_is_one_line(kind: str, suffix: str, tmp_path: Path) -> None:
    """Of 1,500 damaged files a third had ended in tracebacks of seven kinds."""
    path = tmp_path / f"weights{suffix}"
    WRONG[kind](path)
    with pytest.raises(InputError) as caught:
        check_weights(read_tensors(path, "lpips", "give another"), path, "lpips", "give another")
    message = str(caught.value)
    assert message.startswith(f"lpips={path}: ")
    assert "\n" not in message
    assert len(message) < 400


def test_a_good_file_is_read(tmp_path: Path) -> None:
    """Names that are numbers are names, too."""
    torch.save({**GOOD, 0: torch.zeros(1)}, tmp_path / "w.pt")
    found = read_tensors(tmp_path / "w.pt", "x", "")
    check_weights(found, tmp_path / "w.pt", "x", "")
    assert found.keys() == {"a", "b", "0"}
    assert torch.equal(found["a"], GOOD["a"])
