"""Captions and keywords as values, and how one caption is chosen from the fields of a file.

A title is put above a description that does not contain it. A comment counts only without a description.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from smallsight.media.metadata.camera_text import is_camera_text

__all__ = [
    "MAX_WORDS_BYTES",
    "FieldRole",
    "FileWords",
    "MetadataField",
    "Sourced",
    "choose_words",
    "words_from_json",
]

MAX_CAPTION_CHARS = 20_000
MAX_KEYWORDS = 300
MAX_KEYWORD_CHARS = 200
MAX_WORDS_BYTES = 1024 * 1024  # of both as JSON
_MAX_ORIGIN_CHARS = 60
_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control, half of a pair, line and paragraph separator


class FieldRole(Enum):
    """What a metadata field is for."""

    TITLE = auto()
    DESCRIPTION = auto()
    COMMENT = auto()  # also headlines and subjects
    KEYWORD = auto()


@dataclass(frozen=True, slots=True)
class MetadataField:
    """One field of a file; ``origin`` names the field, such as ``xmp:dc:description``."""

    role: FieldRole
    text: str
    origin: str


@dataclass(frozen=True, slots=True)
class Sourced:
    """A caption or keyword, and the name of the field that it comes from."""

    text: str
    origin: str


@dataclass(frozen=True, slots=True)
class FileWords:
    """The caption and the keywords of one picture or sidecar."""

    caption: Sourced | None = None
    keywords: tuple[Sourced, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is a caption or a keyword."""
        return self.caption is not None or bool(self.keywords)

    def cut(self, max_chars: int) -> FileWords:
        """Return the words with a caption of at most ``max_chars``."""
        if self.caption is None or len(self.caption.text) <= max_chars:
            return self
        return FileWords(Sourced(self.caption.text[:max_chars], self.caption.origin), self.keywords)

    def to_json(self) -> str:
        """Return the value as JSON, for ``words_from_json``."""
        caption = None if self.caption is None else [self.caption.text, self.caption.origin]
        keywords = [[one.text, one.origin] for one in self.keywords]
        return json.dumps({"caption": caption, "keywords": keywords}, ensure_ascii=False)


def choose_words(fields: Iterable[MetadataField]) -> FileWords:
    """Return the caption and the keywords of fields that come in order of precedence."""
    by_role: dict[FieldRole, list[MetadataField]] = {role: [] for role in FieldRole}
    for field in fields:
        by_role[field.role].append(field)
    keywords: dict[str, Sourced] = {}
    for field in by_role[FieldRole.KEYWORD]:
        if (name := _clean_keyword(field.text)) is not None and len(keywords) < MAX_KEYWORDS:
            keywords.setdefault(name.casefold(), Sourced(name, field.origin))
    return FileWords(_choose_caption(by_role), tuple(keywords.values()))


def _choose_caption(by_role: dict[FieldRole, list[MetadataField]]) -> Sourced | None:
    title = next(_captions(by_role[FieldRole.TITLE]), None)
    candidates = _captions([*by_role[FieldRole.DESCRIPTION], *by_role[FieldRole.COMMENT]])
    # Some programs write a title into the description as well, and the description into a comment.
    description = next((one for one in candidates if title is None or one.text != title.text), None)
    if title is None or description is None:
        return description or title
    if title.text.casefold() in description.text.casefold():
        return description
    return Sourced(f"{title.text}\n{description.text}"[:MAX_CAPTION_CHARS], description.origin)


def _captions(fields: Iterable[MetadataField]) -> Iterator[Sourced]:
    for field in fields:
        text = _clean(field.text, kept="\n\t")[:MAX_CAPTION_CHARS].strip()
        if text and not is_camera_text(text):
            yield Sourced(text, field.origin)


def _clean_keyword(text: str) -> str | None:
    name = " ".join(_clean(text, kept="").split())
    return name if 0 < len(name) <= MAX_KEYWORD_CHARS else None


def _clean(text: str, kept: str) -> str:
    """Replace control characters by spaces and drop what follows a NUL."""
    lines = text.split("\0", 1)[0].replace("\r\n", "\n").replace("\r", "\n")
    if lines.isascii() and lines.isprintable():
        return lines
    return "".join(one if one in kept or unicodedata.category(one) not in _HIDDEN else " " for one in lines)


def words_from_json(data: bytes | bytearray | str) -> FileWords:
    """Return what ``to_json`` wrote; raises ValueError if it is anything else or over a limit."""
    try:
        values = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(values, dict) or not isinstance(keywords := values.get("keywords"), list):
        raise ValueError("not the words of a file")
    caption = (
        None if values.get("caption") is None else _sourced(values["caption"], MAX_CAPTION_CHARS, "\n\t")
    )
    if len(keywords) > MAX_KEYWORDS:
        raise ValueError("too many keywords")
    return FileWords(caption, tuple(_sourced(one, MAX_KEYWORD_CHARS, "") for one in keywords))


def _sourced(value: Any, max_chars: int, kept: str) -> Sourced:  # noqa: ANN401 - parsed JSON
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)):
        raise ValueError("not a text and its origin")
    text, origin = value
    if not 0 < len(text) <= max_chars or not 0 < len(origin) <= _MAX_ORIGIN_CHARS or not origin.isprintable():
        raise ValueError("a text of the wrong length")
    if _clean(text, kept) != text:
        raise ValueError("a text with control characters")
    return Sourced(text, origin)
