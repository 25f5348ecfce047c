"""Captions and labels of requests as the tokens that a model reads, and the guidance that compares with them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Shaped

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.request import Request
from videoar.pretrain.generate.sampler import Sampling
from videoar.pretrain.guidance import Guidance, parse_guidance
from videoar.pretrain.model.pretrained import ExportConfig
from videoar.pretrain.model.vocabulary import LabelText, TableText, WordsText, text_tokens

if TYPE_CHECKING:
    from videoar.data_pipeline.text.t5 import LiveText

log = logging.getLogger(__name__)

MOST_TOLD = 3
"""Number of texts for which a warning says that they are too long."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the samples of a batch are generated from, and how."""

    text: Sequence[Shaped[np.ndarray, "_m ..."]]
    negative: Sequence[Shaped[np.ndarray, "_n ..."] | None]
    """Text that guidance steers away from; None: away from the prediction without text."""
    sampling: Sampling


def _or_empty(request: Request) -> str:
    """The remedy for a picture or a clip without a prompt."""
    given = "image" if request.image is not None else "video"
    if getattr(request, given) is None:
        return ""
    return f' that says what the {given} shows, or "" to continue from the {given} alone'


def _some(words: Sequence[str], most: int = 10) -> str:
    """Words as in a sentence, and how many more there are."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more words" if len(words) > most else "")


class TextSide:
    """Turns requests into conditions, for the weights of one export."""

    def __init__(self, config: ExportConfig, text_encoder: str | Path | None, device: torch.device) -> None:
        self._config, self._text_encoder, self._device = config, text_encoder, device
        self._told: set[object] = set()
        self._unknown: set[str] = set()
        self._too_long: set[str] = set()
        kind = config.model.text.kind
        if text_encoder is not None and kind != "t5":
            raise InputError(
                "text_encoder", text_encoder, f"is not read by weights of text kind {kind}", "leave it out"
            )

    def conditions(self, requests: Sequence[Request]) -> Conditions:
        """The tokens of all requests, which are sampled as the first one says."""
        first = requests[0]
        guidance = self._guidance(first)
        self.tell_unknown_words(requests)
        return Conditions(
            [self.tokens(request) for request in requests],
            [self._negative(request, guidance) for request in requests],
            Sampling(guidance=guidance, temperature=first.temperature, top_p=first.top_p),
        )

    def tell(self, line: str, about: object = None) -> None:
        """Log a remark, once."""
        if (line, about) not in self._told:
            self._told.add((line, about))
            log.warning("%s", line)

    def tell_unknown_words(self, requests: Sequence[Request]) -> None:
        """Log which words the model was not trained on, in one line for all requests, each word once."""
        if self._config.model.text.kind != "words":
            return
        assert isinstance(self._text, WordsText)
        prompts = [text for one in requests for text in (one.prompt, one.negative_prompt) if text is not None]
        found = dict.fromkeys(word.lower() for prompt in prompts for word in self._text.unknown(prompt))
        if unknown := [word for word in found if word not in self._unknown]:
            known = ", ".join(sorted(word for word in self._text.words if word[0].isalnum()))
            listed = "" if self._unknown else f"; the words it was trained on: {known}"  # the first time
            log.warning("prompt: the model was not trained on %s%s", _some(unknown), listed)
            self._unknown.update(unknown)

    def tokens(self, request: Request) -> Shaped[np.ndarray, "m ..."]:
        """The condition as token ids or states. InputError if it is of the wrong kind."""
        kind = self._config.model.text.kind
        wanted, other = (("label", "prompt"), ("prompt", "label"))[kind != "label"]
        value = getattr(request, wanted)
        trained_on = "captions" if kind != "label" else "labels"
        if (misplaced := getattr(request, other)) is not None:
            problem = f"does not fit: the model was trained on {trained_on}"
            raise InputError(other, misplaced, problem, f"give a {wanted} instead")
        if value is None:
            problem = f"must be given: the model was trained on {trained_on}"
            raise InputError(
                wanted, value, problem, f"give a {wanted}{_or_empty(request) if wanted == 'prompt' else ''}"
            )
        return self._encoded(value, wanted)

    def _negative(self, request: Request, guidance: Guidance) -> Shaped[np.ndarray, "m ..."] | None:
        """The negative prompt as token ids or states. InputError if it has no effect."""
        if request.negative_prompt is None:
            return None
        if self._config.model.text.kind == "label":
            problem = "does not fit: the model was trained on labels"
            raise InputError("negative_prompt", request.negative_prompt, problem, "leave it out")
        if guidance.is_off:
            problem, remedy = "has no effect, because guidance is 1 (off)", "add a guidance such as 3, or leave it out"
            raise InputError("negative_prompt", request.negative_prompt, problem, remedy)
        return self._encoded(request.negative_prompt, "negative_prompt")

    def _encoded(self, value: Any, field: str) -> Shaped[np.ndarray, "m ..."]:
        """Token ids or states; logs a warning for text that is longer than the model reads."""
        tokens, text = self._text.encode(value), self._text
        if not isinstance(text, LabelText) and (whole := text.whole_length(value)) > len(tokens):
            self._tell_too_long(value, f"{field}: the model reads the first {len(tokens)} of its {whole} tokens")
        return tokens

    def _tell_too_long(self, text: str, line: str) -> None:
        """Log the line for the first few texts: an evaluation has hundreds of prompts."""
        if text in self._too_long:
            return
        self._too_long.add(text)
        if len(self._too_long) <= MOST_TOLD:
            log.warning("%s; the rest is ignored", line)
        elif len(self._too_long) == MOST_TOLD + 1:
            log.warning("%s; the rest is ignored. Further texts that are too long are not reported", line)

    def _guidance(self, request: Request) -> Guidance:
        """The ramp that is asked for, or that of the export."""
        config, asked = self._config, request.guidance
        default = config.default_guidance(continued=request.video is not None)
        guidance = parse_guidance(default if asked is None else asked)
        if parse_guidance(config.guidance).is_off and not guidance.is_off:
            self.tell(
                f"guidance={asked}: needs the model without text, which these weights did not learn (text_dropout 0); "
                "leave it out if the video is noise"
            )
        return guidance

    @cached_property
    def _text(self) -> TableText | LiveText:
        """What encodes conditions; a T5 encoder is opened at the first prompt."""
        text = self._config.model.text
        if text.kind != "t5":
            return text_tokens(text)
        from videoar.data_pipeline.text.t5 import LiveText  # needs transformers, which other texts do not

        return LiveText(self._text_encoder or text.path, text.max_tokens, text.encoder_hash, self._device)
