"""Reads a vocabulary: the things that are suggested as tags, one a line, with further words for each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from smallsight.errors import SettingsError
from smallsight.library.search.tokens import normalise

MAX_THINGS = 5_000
_MAX_BYTES = 1024 * 1024
_MAX_TAG_CHARS = 60
_MAX_PHRASE_CHARS = 200
_MAX_PHRASES = 16
_BLANK = "{}"
_HINT = "a line is a tag, or a tag, a colon, and further words for it between commas."


@dataclass(frozen=True, slots=True)
class Thing:
    """A tag, its other words, and whole prompts, which replace those that a model is usually asked with."""

    tag: str
    words: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()

    def phrases(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """Return the texts whose vectors, averaged, stand for the thing; ``prompts`` have a blank {}."""
        if self.prompts:
            return tuple(prompt.replace(_BLANK, self.tag) for prompt in self.prompts)
        return tuple(prompt.replace(_BLANK, word) for word in (self.tag, *self.words) for prompt in prompts)


@dataclass(frozen=True)
class TagVocabulary:
    """Things by the form in which their tags are compared, in the order of the file."""

    source: str
    things: Mapping[str, Thing]

    @cached_property
    def digest(self) -> str:
        """Identify the things and their words, wherever they were read from."""
        return hashlib.sha256(repr(list(self.things.values())).encode()).hexdigest()[:16]


def load_vocabulary(path: Path | None) -> TagVocabulary:
    """Read the vocabulary at a path, by default the one that is shipped; raises SettingsError."""
    if path is None:
        return parse_vocabulary(shipped_vocabulary(), "the vocabulary of Smallsight")
    path = path.expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"The vocabulary {path} cannot be read: {error.strerror}.",
            hint="see the setting tags.vocabulary.",
        ) from error
    if len(data) > _MAX_BYTES:
        raise SettingsError(f"The vocabulary {path} has more than {_MAX_BYTES} bytes.", hint=_HINT)
    try:
        return parse_vocabulary(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise SettingsError(f"The vocabulary {path} is not UTF-8.", hint="save it as UTF-8.") from error


def shipped_vocabulary() -> str:
    """Return the text of the vocabulary that is shipped."""
    return files(__package__).joinpath("vocabulary.txt").read_text("utf-8")


def parse_vocabulary(text: str, source: str) -> TagVocabulary:
    """Parse a vocabulary; ``source`` names it in errors. Raises SettingsError for the first wrong line."""
    things: dict[str, Thing] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        try:
            folded, thing = _thing(written)
            if folded in things:
                raise ValueError(f"has {thing.tag!r} again, after line {lines[folded]}")
            if len(things) == MAX_THINGS:
                raise ValueError(f"is one thing too many (limit {MAX_THINGS})")
        except ValueError as error:
            raise SettingsError(f"Line {number} of {source} {error}.", hint=_HINT) from error
        things[folded], lines[folded] = thing, number
    if not things:
        raise SettingsError(f"Nothing is named in {source}.", hint=_HINT)
    return TagVocabulary(source, things)


def _thing(line: str) -> tuple[str, Thing]:
    """Return a thing by the form in which its tag is compared; raises ValueError that says what is wrong."""
    if any(not mark.isprintable() and mark != "\t" for mark in line):
        raise ValueError("has a character that cannot be shown")
    tag, _, rest = line.partition(":")
    tag = " ".join(tag.split())
    phrases = [" ".join(one.split()) for one in rest.split(",") if one.strip()]
    if len(tag) > _MAX_TAG_CHARS:
        raise ValueError(f"has a tag of {len(tag)} characters (limit {_MAX_TAG_CHARS})")
    if any(len(one) > _MAX_PHRASE_CHARS for one in phrases) or len(phrases) > _MAX_PHRASES:
        raise ValueError(
            f"is too long (limits: {_MAX_PHRASES} further words of {_MAX_PHRASE_CHARS} characters each)"
        )
    folded = normalise(tag).strip()
    if not folded or "{" in tag or "," in tag:
        raise ValueError(f"has no tag that can be used: {tag!r}")
    prompts = tuple(one for one in phrases if _BLANK in one)
    words = tuple(dict.fromkeys(one for one in phrases if _BLANK not in one))
    return folded, Thing(tag, words, prompts)
