"""Chooses the prompt for a description: the caller's, or the family's by length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smallsight.engine.engine import Engine
from smallsight.errors import ArgumentError
from smallsight.errors.argument_types import require_text
from smallsight.families.messages import Message, TextPart, VideoPart
from smallsight.families.registry import titles_that
from smallsight.model.conversation import require_question
from smallsight.model.model import Question

__all__ = ["DescriptionPrompts", "default_prompts", "description_prompt"]


@dataclass(frozen=True, slots=True)
class DescriptionPrompts:
    """A family's prompts for describing a picture and a video."""

    picture: str
    video: str

    def applied_to(self, messages: Sequence[Message]) -> list[Message]:
        """Replace the picture prompt by the video prompt in messages that contain a video."""
        return [
            Message(message.role, (*message.parts[:-1], TextPart(self.video)))
            if any(isinstance(part, VideoPart) for part in message.parts)
            else message
            for message in messages
        ]


def default_prompts(engine: Engine, prompt: Question | None, length: str | None) -> DescriptionPrompts | None:
    """Return the family's prompts if no other was chosen; None if it has none for videos."""
    prompts = engine.prompts
    if prompt or length is not None or prompts.describe_video is None:
        return None
    return DescriptionPrompts(prompts.describe, prompts.describe_video)


def description_prompt(engine: Engine, name: str, prompt: Question | None, length: str | None) -> Question:
    """Return the prompt, or the family's for a description of this length; raises ArgumentError."""
    if prompt is not None:
        require_question(prompt)
    if length is None:
        return prompt or engine.prompts.describe
    if prompt:
        raise ArgumentError(
            "length cannot be combined with a prompt.", hint="ask for the length in the prompt."
        )
    lengths = engine.capabilities.lengths
    if not lengths:
        raise ArgumentError(
            f"{name} does not support description lengths.",
            hint=f"omit the length, or load {titles_that(lambda can: can.lengths)}.",
        )
    if require_text("length", length) not in lengths:
        raise ArgumentError(f"{name} has no length {length!r}.", hint=f"use {' or '.join(lengths)}.")
    return lengths[length]
