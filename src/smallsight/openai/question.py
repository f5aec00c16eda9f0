"""What a client asks, by chat completions or responses, before any picture has been opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class PictureLink:
    """Where a picture is, as the client wrote it, and how finely it is to be looked at."""

    url: str
    detail: str = "auto"


@dataclass(frozen=True, slots=True)
class VideoLink:
    """Where a video is, as the client wrote it."""

    url: str


Link: TypeAlias = PictureLink | VideoLink


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said; a text stands for itself."""

    role: str
    parts: tuple[str | Link, ...]


@dataclass(frozen=True)
class Question:
    """One question. None is what the request leaves out; ``sampling`` says how to choose tokens."""

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
        """The finest detail that any picture asks for, since a prompt has one for all."""
        wanted = {link.detail for link in self.links if isinstance(link, PictureLink)}
        return next((detail for detail in ("high", "auto", "low") if detail in wanted), "auto")
