"""What a file says as a value: caption, keywords, date, camera and place; and how its fields are chosen.

A title is put above a description that does not contain it. A comment counts only without a description.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from smallsight.media.metadata.camera_text import is_camera_text
from smallsight.media.metadata.cameras import MAX_CAMERA_CHARS, camera_name
from smallsight.media.metadata.coordinates import Coordinates, choose_place, place_from_json
from smallsight.media.metadata.fields import FieldRole, MetadataField
from smallsight.media.metadata.taken import DateTaken, choose_date, date_from_json

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
_FAR_FUTURE_S = 1e11
_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control, half of a pair, line and paragraph separator


@dataclass(frozen=True, slots=True)
class Sourced:
    """A caption or keyword, and the name of the field that it comes from."""

    text: str
    origin: str


@dataclass(frozen=True, slots=True)
class FileWords:
    """The caption and the keywords of one picture or sidecar, and when, with what and where it was taken."""

    caption: Sourced | None = None
    keywords: tuple[Sourced, ...] = ()
    taken: DateTaken | None = None
    camera: str | None = None
    place: Coordinates | None = None

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return self != _NOTHING

    def cut(self, max_chars: int) -> FileWords:
        """Return the words with a caption of at most ``max_chars``."""
        if self.caption is None or len(self.caption.text) <= max_chars:
            return self
        return replace(self, caption=Sourced(self.caption.text[:max_chars], self.caption.origin))

    def to_json(self) -> str:
        """Return the value as JSON, for ``words_from_json``."""
        values = {
            "caption": None if self.caption is None else [self.caption.text, self.caption.origin],
            "keywords": [[one.text, one.origin] for one in self.keywords],
            "taken": None if self.taken is None else self.taken.to_json(),
            "camera": self.camera,
            "place": None if self.place is None else self.place.to_json(),
        }
        return json.dumps(values, ensure_ascii=False)


_NOTHING = FileWords()


def choose_words(fields: Iterable[MetadataField], latest_s: float = _FAR_FUTURE_S) -> FileWords:
    """Return what fields say that come in order of precedence; dates after ``latest_s`` are ignored."""
    by_role: dict[FieldRole, list[MetadataField]] = {role: [] for role in FieldRole}
    for field in fields:
        by_role[field.role].append(field)
    keywords: dict[str, Sourced] = {}
    for field in by_role[FieldRole.KEYWORD]:
        if (name := _clean_keyword(field.text)) is not None and len(keywords) < MAX_KEYWORDS:
            keywords.setdefault(name.casefold(), Sourced(name, field.origin))
    every = [field for some in by_role.values() for field in some]
    return FileWords(
        _choose_caption(by_role),
        tuple(keywords.values()),
        choose_date(every, latest_s),
        _choose_camera(by_role),
        choose_place(every),
    )


def _choose_camera(by_role: dict[FieldRole, list[MetadataField]]) -> str | None:
    make, model = (
        next((name for field in by_role[role] if (name := _clean_keyword(field.text)) is not None), "")
        for role in (FieldRole.MAKE, FieldRole.MODEL)
    )
    return camera_name(make, model)


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
    return FileWords(
        caption,
        tuple(_sourced(one, MAX_KEYWORD_CHARS, "") for one in keywords),
        date_from_json(values.get("taken")),
        _checked_camera(values.get("camera")),
        place_from_json(values.get("place")),
    )


def _checked_camera(value: Any) -> str | None:  # noqa: ANN401 - parsed JSON
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_CAMERA_CHARS or _clean_keyword(value) != value:
        raise ValueError("not a camera")
    return value


def _sourced(value: Any, max_chars: int, kept: str) -> Sourced:  # noqa: ANN401 - parsed JSON
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)):
        raise ValueError("not a text and its origin")
    text, origin = value
    if not 0 < len(text) <= max_chars or not 0 < len(origin) <= _MAX_ORIGIN_CHARS or not origin.isprintable():
        raise ValueError("a text of the wrong length")
    if _clean(text, kept) != text:
        raise ValueError("a text with control characters")
    return Sourced(text, origin)
