"""A question from any protocol, before any of its pictures is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from smallsight.families.messages import ToolCall

__all__ = [
    "Link",
    "PictureLink",
    "Question",
    "Tool",
    "ToolCall",
    "ToolMode",
    "ToolResult",
    "Tools",
    "Turn",
    "VideoLink",
]

ToolMode: TypeAlias = Literal["auto", "none", "required"]


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
class ToolResult:
    """What a client's tool returned for the call ``call_id``."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a client offers; ``parameters`` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a request; with ``name`` the answer must call this one, with "required" any one."""

    offered: tuple[Tool, ...]
    choice: ToolMode = "auto"
    name: str | None = None

    @property
    def forced(self) -> tuple[Tool, ...]:
        """The tools of which the answer must call one; empty if it may be text."""
        if self.name is not None:
            return tuple(tool for tool in self.offered if tool.name == self.name)
        return self.offered if self.choice == "required" else ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, with role "system", "user", "assistant" or "tool"."""

    role: str
    parts: tuple[str | Link | ToolCall | ToolResult, ...]


@dataclass(frozen=True)
class Question:
    """One question; None stands for a value that the request leaves out, ``sampling`` has options by name."""

    model: str | None
    turns: tuple[Turn, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    num_choices: int = 1
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tools: Tools | None = None

    @cached_property
    def links(self) -> list[Link]:
        """The pictures and videos, in order."""
        return [part for turn in self.turns for part in turn.parts if isinstance(part, Link)]

    @cached_property
    def detail(self) -> str:
        """The highest detail of any picture, since a prompt has one for all: "high", "auto" or "low"."""
        wanted = {link.detail for link in self.links if isinstance(link, PictureLink)}
        return next((detail for detail in ("high", "auto", "low") if detail in wanted), "auto")
