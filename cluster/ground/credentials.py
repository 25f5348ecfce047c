"""Keeps credentials out of files and logs: they are refused in URLs and masked in what this process writes."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.process import SECRETS, secret_values

MASK = "***"

_SECRET_WORDS = (
    *("key", "secret", "secrets", "token", "password", "passwords", "passwd", "passphrase", "credential"),
    *("credentials", "signature", "sig", "auth"),
)
_LAST_PARTS = ("keys", "pass", "pwd", "pat", "cred", "creds", "authorization", "bearer", "jwt")
"""Ends of a secret's name, behind an underscore: as ends of words they are ordinary (format, bypass)."""

_TOKEN = re.compile(r"(?<![\w./-])(?:hf_|gh[opsur]_|github_pat_|glpat-|sk-|xox[abp]-|AKIA|eyJ|(?i:bearer|basic) +)\w")
"""Prefixes of the keys of Hugging Face, GitHub, GitLab, OpenAI, Slack and AWS, of web tokens, and of HTTP's header."""

_BEHIND_WORD = "|".join(f"(?<={word}=)" for word in _SECRET_WORDS)
_IN_URL = re.compile(rf"(?<=://)(?:[^/@\s'\"]+|[^/@:\s'\"]+:(?!\d+/)[^@\s'\"]+)(?=@)|(?i:{_BEHIND_WORD})[^&\s'\"]+")
_PORT = re.compile(r"\d*")


def refuse_credentials(field: str, url: str) -> None:
    """InputError if a URL contains a key, which would end up in logs, plans and manifests. The message masks it."""
    for part in url.split("::"):
        if "://" not in part:
            continue
        split = urlsplit(part)
        named = any(is_secret_name(name) for name in parse_qs(split.query, keep_blank_values=True))
        _, colon, port = split.netloc.rpartition("]")[2].partition(":")
        cut = colon and not _PORT.fullmatch(port)  # a secret with a slash in it
        if "@" in split.netloc or named or cut:
            raise InputError(
                field,
                f"{split.scheme}://{MASK}",
                "contains a credential",
                "leave it out: the standard chain (environment, configuration file, role of the machine) is used",
            )


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret: WANDB_API_KEY, HF_TOKEN, GH_PAT."""
    plain = name.lower().replace("-", "_")
    is_shells_own = plain in ("pwd", "oldpwd")
    last = plain.rpartition("_")[2]
    return name in SECRETS or plain.endswith(_SECRET_WORDS) or (last in _LAST_PARTS and not is_shells_own)


def looks_secret(value: str) -> bool:
    """Whether a value has the form of a token: hf_..., ghp_..., Bearer ...."""
    return _TOKEN.search(value) is not None


def redact(text: str) -> str:
    """The text without the values of this process's credentials and without those in URLs."""
    for value in secret_values():
        text = text.replace(value, MASK)
    return _IN_URL.sub(MASK, text)


def guard_output() -> None:
    """From now on, mask credentials in log lines and in the traceback of an uncaught exception."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(kept, _Redacting) for kept in handler.filters):
            handler.addFilter(_Redacting())
    sys.excepthook = _redacted_traceback


class _Redacting(logging.Filter):
    """Masks credentials in every record, those of libraries included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)))
        return True


def _redacted_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
