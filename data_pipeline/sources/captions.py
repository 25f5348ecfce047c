"""Captions and labels as people write them: one policy for text files, tables and tars.

A caption that cannot be read leaves out only its own clip, with the reason. A missing caption counts as empty.
"""

from __future__ import annotations

import codecs
import json
import math
import unicodedata
from typing import Any

WITHOUT_CLIP = "is a text without a clip of its name"
"""Why a caption is left out."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(beginning: bytes) -> str:
    """The encoding that a byte-order mark names; UTF-8 without one."""
    return next((encoding for mark, encoding in _MARKS if beginning.startswith(mark)), "utf-8")


def decoded(raw: bytes) -> str:
    """The text of a file. ValueError if it is neither UTF-8 nor what its byte-order mark says."""
    encoding = encoding_of(raw)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise ValueError(f"is not {name}; write it as UTF-8") from error


def json_object(text: str) -> dict[str, Any]:
    """A JSON object. ValueError in one line if the text is something else."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg}, character {error.pos + 1})") from error
    if not isinstance(found, dict):
        raise ValueError("is not an object")
    return found


def caption_of(value: Any) -> str:
    """A caption. Values that are not text are rejected: a number is a sign of a wrong column."""
    if is_missing(value):
        return ""
    if isinstance(value, bytes):
        return decoded(value)
    if not isinstance(value, str):
        raise ValueError(f"its caption is of type {type(value).__name__}, not text")
    return value


def label_of(value: Any) -> int | None:
    """A class number; None if there is none. Whole numbers may be written as floats, as spreadsheets and pandas do."""
    if is_missing(value):
        return None
    try:
        number = None if isinstance(value, bool) else _whole(value)
    except (ValueError, TypeError, OverflowError):
        number = None
    if number is None:
        raise ValueError(f"label={str(value)[:40]} is not a whole number")
    return number


def _whole(value: Any) -> int | None:
    if isinstance(value, int):
        return value
    text = str(value).strip()
    if text.lstrip("+-").isdecimal():
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() else None


def is_missing(value: Any) -> bool:
    """Whether a table's cell is empty: pandas writes NaN."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def same_name(path: str) -> str:
    """One form of a name: macOS stores é as two characters, and most tables write it as one."""
    return unicodedata.normalize("NFC", path)
