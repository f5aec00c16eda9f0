"""The record that a model family fills in: what is known of all its models before any is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from smallsight.families.tensor_shape import TensorShape

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.families.inline_model import InlineModel
    from smallsight.quant.scheme import Scheme


class Plan(StrEnum):
    """How a family's tokens see one another, which decides what runs it."""

    INLINE = "causal, image tokens in line"
    PREFIX = "a picture's tokens see one another, then causal"
    ENCODER_DECODER = "encoder-decoder, searched with beams"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What models of a family can do besides answering a question about one picture.

    ``tasks`` are prompts that name a task. ``lengths`` are prompts for descriptions of each length, by the
    length's name.
    """

    supports_chat: bool = False
    detects_places: bool = False
    recalls_pictures: bool = False
    searches_with_beams: bool = False
    tasks: frozenset[str] = frozenset()
    lengths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompts:
    """What a family's models are asked for a description; without words for videos, they see pictures."""

    describe: str
    describe_video: str | None = None


@dataclass(frozen=True)
class Family:
    """One model family. ``title`` is how messages call it.

    ``tensor_shapes`` and ``kv_cache_bytes`` compute from an architecture's sizes. ``open_inline`` opens a
    folder for engines that run ``Plan.INLINE``; it imports what it needs when it is called.
    """

    name: str
    title: str
    plan: Plan
    tensor_shapes: Callable[[Mapping[str, Any]], tuple[TensorShape, ...]]
    kv_cache_bytes: Callable[[Mapping[str, Any]], int]
    capabilities: Capabilities
    prompts: Prompts
    open_inline: Callable[[Path, Scheme, int], InlineModel] | None = None
