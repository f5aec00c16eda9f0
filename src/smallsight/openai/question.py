"""A question from chat completions or responses, before any of its pictures is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class PictureLink:
    """A picture's URL as the client sent it, and the detail at which to encode it."""

    url: str
    detail: str = "auto"


@dataclass(frozen=True, slots=True)
class VideoLink:
    """A video's URL as the client sent it."""

    url: str


Link: TypeAlias = PictureLink | VideoLink


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation; a part is a text or a link."""

    role: str
    parts: tuple[str | Link, ...]


@dataclass(frozen=True)
class Question:
    """One question; None stands for a value that the request leaves out, ``sampling`` has options by name."""

    model: str | None
    turns: tuple[Turn, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    num_choices: int = 1
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def links(self) -> list[Link]:
        """The pictures and videos, in order."""
        return [part for turn in self.turns for part in turn.parts if not isinstance(part, str)]

    @cached_property
    def detail(self) -> str:
        """The highest detail of any picture, since a prompt has one for all: "high", "auto" or "low"."""
        wanted = {link.detail for link in self.links if isinstance(link, PictureLink)}
        return next((detail for detail in ("high", "auto", "low") if detail in wanted), "auto")
