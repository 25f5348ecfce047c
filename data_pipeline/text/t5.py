"""A frozen T5 encoder from a local folder: turns captions into states. Only this file imports transformers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16
from transformers import AutoTokenizer, T5EncoderModel

from videoar.cluster.ground.errors import InputError

_TEXTS_A_BATCH = 32


class T5Encoder:
    """Encoder and tokenizer as `save_pretrained` wrote them (Flan-T5 and similar); nothing is downloaded."""

    def __init__(self, path: str | Path, max_tokens: int, device: torch.device | str | None = None) -> None:
        """Without `device`: the GPU if there is one, in bfloat16 there and float32 on a CPU."""
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.max_tokens, self._path = max_tokens, Path(path)
        if not (self._path / "config.json").is_file():
            raise InputError(
                "model.text.path", path, "holds no encoder (no config.json)", "give a folder that transformers saved"
            )
        dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(self._path, local_files_only=True)
            model = T5EncoderModel.from_pretrained(self._path, local_files_only=True, use_safetensors=True, dtype=dtype)
        except (OSError, ValueError, KeyError) as error:
            problem = f"cannot be opened ({str(error).splitlines()[0]})"
            raise InputError("model.text.path", path, problem, "give a folder that transformers saved") from error
        self._model = model.eval().requires_grad_(False).to(self._device)

    @property
    def width(self) -> int:
        """Width of the states."""
        return int(self._model.config.d_model)

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits of everything that decides the states: weights, vocabulary and settings."""
        digest = hashlib.sha256()
        for path in sorted(p for p in self._path.iterdir() if p.suffix in (".safetensors", ".model")):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        settings = json.loads((self._path / "config.json").read_text())
        kept = {name: value for name, value in settings.items() if name not in ("transformers_version", "dtype")}
        digest.update(json.dumps([vocabulary, kept], sort_keys=True).encode())
        return digest.hexdigest()[:16]

    def whole_length(self, text: str) -> int:
        """Tokens of a text before it is cut."""
        return len(self._tokenizer(text, verbose=False).input_ids)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> list[Float16[np.ndarray, "_m e"]]:
        """States of each text, cut to max_tokens; at least one token, the end of the sentence."""
        states: list[Float16[np.ndarray, "_m e"]] = []
        for start in range(0, len(texts), _TEXTS_A_BATCH):
            tokens = self._tokenizer(
                list(texts[start : start + _TEXTS_A_BATCH]),
                truncation=True,
                max_length=self.max_tokens,
                padding=True,
                return_tensors="pt",
            ).to(self._device)
            found = self._model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
            half = found.to(torch.float16).cpu().numpy()
            assert np.isfinite(half).all(), "the encoder's states do not fit 16 bits"
            states += [one[:count].copy() for one, count in zip(half, tokens.attention_mask.sum(1), strict=True)]
        return states


class LiveText:
    """Encodes prompts for generation; the encoder must be the one that the weights were trained with."""

    def __init__(self, path: str | Path, max_tokens: int, wanted_hash: str, device: torch.device | str) -> None:
        self._encoder = T5Encoder(path, max_tokens, device)
        if wanted_hash and self._encoder.hash != wanted_hash:
            raise InputError(
                "text_encoder",
                path,
                f"is encoder {self._encoder.hash}, but the weights were trained with {wanted_hash}",
                "give the folder of that encoder",
            )

    def whole_length(self, text: str) -> int:
        """Tokens of a prompt before it is cut."""
        return self._encoder.whole_length(text)

    def encode(self, text: str | int) -> Float16[np.ndarray, "m e"]:
        """States of a prompt."""
        if not isinstance(text, str):
            raise InputError(
                "label", text, "is not a caption, and this model is conditioned on captions", "give a prompt"
            )
        return self._encoder.encode([text])[0]
