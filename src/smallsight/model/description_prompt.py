"""What a model is asked when a picture is to be described: the caller's words, or its family's by length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smallsight.engine.engine import Engine
from smallsight.errors import ArgumentError
from smallsight.families.messages import Message, TextPart, VideoPart
from smallsight.families.registry import titles_that
from smallsight.model.model import Question

__all__ = ["OwnWords", "description_prompt", "own_words"]


@dataclass(frozen=True, slots=True)
class OwnWords:
    """How a family that knows videos is asked for a description: of a picture, and of a video."""

    picture: str
    video: str

    def asked_about(self, messages: Sequence[Message]) -> list[Message]:
        """Return a conversation made with the words for a picture, with those for a video if it shows one."""
        return [
            Message(message.role, (*message.parts[:-1], TextPart(self.video)))
            if any(isinstance(part, VideoPart) for part in message.parts)
            else message
            for message in messages
        ]


def own_words(engine: Engine, prompt: Question | None, length: str | None) -> OwnWords | None:
    """Return the family's own words where nobody else's are given, None where videos make no difference."""
    own = engine.prompts
    if prompt or length is not None or own.describe_video is None:
        return None
    return OwnWords(own.describe, own.describe_video)


def description_prompt(engine: Engine, name: str, prompt: Question | None, length: str | None) -> Question:
    """Return the prompt, or the family's own for a description of this length; raises ArgumentError."""
    if length is None:
        return prompt or engine.prompts.describe
    if prompt:
        raise ArgumentError(
            "length cannot be combined with a prompt.", hint="ask for the length in the prompt."
        )
    lengths = engine.capabilities.lengths
    if not lengths:
        raise ArgumentError(
            f"{name} describes in one length only.",
            hint=f"leave the length out, or load {titles_that(lambda can: can.lengths)}.",
        )
    if length not in lengths:
        raise ArgumentError(f"{name} has no length {length!r}.", hint=f"use {' or '.join(lengths)}.")
    return lengths[length]
