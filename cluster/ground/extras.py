"""Libraries that come with an extra of the package, and the line about one that is missing."""

from __future__ import annotations

from videoar.cluster.ground.errors import InputError

_DATA, _TRAIN = "data", "train"
_EXTRA_OF = {
    **dict.fromkeys(("ray", "webdataset", "cv2", "scenedetect"), _DATA),
    **dict.fromkeys(("megatron", "deepspeed", "transformers", "wandb"), _TRAIN),
    "tensorboard": "tensorboard",
    "matplotlib": "plot",
    "gradio": "serve",
    **dict.fromkeys(("huggingface_hub", "httpx2"), "hub"),
}
"""The extra that brings a library which is imported by this name."""
_OF_BOTH = ("pyarrow", "s3fs", "aiobotocore", "botocore", "isal")
"""Libraries that preparing data and training both need."""


def missing_extra(error: ImportError, command: str) -> InputError | None:
    """The import error of a command as one line with the extra to install; None if no extra brings that library."""
    library = (error.name or "").partition(".")[0]
    extra = _EXTRA_OF.get(library)
    if library in _OF_BOTH:
        extra = _DATA if command.startswith("data") else _TRAIN
    if extra is None or not isinstance(error, ModuleNotFoundError):
        return None
    return InputError("library", library, f"is not installed, and `videoar {command}` needs it", install(extra))


def install(extra: str) -> str:
    """The remedy that installs an extra."""
    return f"run: pip install 'videoar[{extra}]'"
