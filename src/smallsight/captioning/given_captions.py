"""Captions that another run has written, and why a row of its file is none that can be used.

Rows are those of ``smallsight caption``, of its log, and of ``smallsight describe --out``. A file may come
from anywhere: each value is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

from smallsight.captioning.caption_columns import CAPTION
from smallsight.library.describing import DescribeOptions, imported_key
from smallsight.library.importing import ImportedDescription
from smallsight.library.version_keeping import DescriptionMaker
from smallsight.policy.valid_text import is_valid_text

__all__ = ["AskedRun", "BadRow", "GivenRow", "caption_of"]

_DESCRIBED_TEXT = "text"  # of ``describe --out``
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_MAX_NAME_CHARS = 200
_MAX_PROMPT_CHARS = 10_000
_CHOSEN_LATER = "auto"


class BadRow(StrEnum):
    """Why a row has no caption for the library; ``FAILED`` is what the other run could not describe."""

    FAILED = "failed_there"
    NOT_A_ROW = "not_a_row"
    NO_HASH = "no_sha256"
    NO_CAPTION = "no_caption"
    NO_MODEL = "no_model"
    TOO_LONG = "too_long"
    INVALID_TEXT = "invalid_text"


GivenRow: TypeAlias = ImportedDescription | BadRow


@dataclass(frozen=True, slots=True)
class AskedRun:
    """What a run was asked, as far as its file says: its prompts by column, and its options."""

    prompts: Mapping[str, str | None]
    precision: str | None = None
    options: DescribeOptions | None = None

    @classmethod
    def parse(cls, about: object) -> AskedRun:
        """Return what the request of a run says; what is not as ``smallsight`` writes it is unknown."""
        if isinstance(about, str):
            try:
                about = json.loads(about)
            except (ValueError, RecursionError):
                about = None
        if not isinstance(about, dict):
            return cls({})
        prompts = about.get("prompts", {_DESCRIBED_TEXT: about.get("prompt")})
        if not isinstance(prompts, dict) or not all(map(_is_prompt, prompts.values())):
            return cls({})
        detail, max_tokens, length = about.get("detail"), about.get("max_tokens"), about.get("length")
        options = None
        if isinstance(detail, str) and isinstance(max_tokens, int) and isinstance(length, str | None):
            options = DescribeOptions(None, detail, max_tokens, length)
        return cls(prompts, _name(about.get("precision")), options)

    def column(self, columns: Mapping[str, object] | list[str]) -> str | None:
        """Return the column with the captions: the one called so, or the only prompt's; None if unclear."""
        if CAPTION in columns:
            return CAPTION
        asked = [name for name in self.prompts if name in columns]
        return asked[0] if len(asked) == 1 else None


def caption_of(
    values: Mapping[str, Any], column: str, asked: AskedRun, max_chars: int, *, model: str | None = None
) -> GivenRow:
    """Return the caption in a row, or why there is none. ``model`` made those of rows that name none."""
    sha256, text = values.get("sha256"), values.get(column)
    maker = _name(values.get("model")) or model
    if values.get("error") or values.get("error_code"):
        return BadRow.FAILED
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        return BadRow.NO_HASH
    if not isinstance(text, str) or not text.strip():
        return BadRow.NO_CAPTION
    if len(text) > max_chars:
        return BadRow.TOO_LONG
    if not is_valid_text(text):
        return BadRow.INVALID_TEXT
    if maker is None:
        return BadRow.NO_MODEL
    prompt = asked.prompts.get(column)
    key = None
    if asked.options is not None and asked.precision is not None and column in asked.prompts:
        key = imported_key(maker, asked.precision, replace(asked.options, prompt=prompt))
    precision = None if asked.precision == _CHOSEN_LATER else asked.precision
    return ImportedDescription(sha256.lower(), text.strip(), DescriptionMaker(maker, precision, prompt), key)


def _is_prompt(value: object) -> bool:
    is_text = isinstance(value, str) and len(value) <= _MAX_PROMPT_CHARS and is_valid_text(value)
    return value is None or is_text


def _name(value: object) -> str | None:
    """Return a name that may be stored, or None."""
    is_name = isinstance(value, str) and 0 < len(value.strip()) <= _MAX_NAME_CHARS and is_valid_text(value)
    return value.strip() if is_name and isinstance(value, str) else None
