"""Reads tensors by name from files of the user (.pth, .pt or .safetensors), which may be damaged or hostile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from videoar.cluster.ground.errors import InputError

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_tensors(path: Path, field: str, remedy: str) -> dict[str, Any]:
    """The tensors of a file by name. InputError, which names `field`, for other contents. Code in it is never run."""
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(field, path, "is not a file", remedy) from error
    except Exception as error:  # damaged files raise whatever the parser stumbles over: IndexError, AssertionError, ...
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise InputError(field, path, f"cannot be read ({reason})", remedy) from error
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(field, path, "is not a table of tensors by name", remedy)
    return {str(name): value for name, value in loaded.items()}


def check_weights(weights: dict[str, Any], path: Path, field: str, remedy: str) -> None:
    """InputError unless all are tensors of finite floating-point numbers that are really there."""
    for name, value in weights.items():
        if not is_plain(value):
            raise InputError(field, path, f"has no plain floating-point numbers in {name}", remedy)
        if not value.isfinite().all():
            raise InputError(field, path, f"has values in {name} that are not finite", remedy)


def is_plain(value: Any) -> bool:
    """Whether it is a dense tensor in memory of a common floating-point type."""
    is_dense = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_nested
    return is_dense and value.device.type == "cpu" and value.dtype in _DTYPES
