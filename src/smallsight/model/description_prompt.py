"""What a model is asked when a picture is to be described: the caller's words, or its family's by length."""

from __future__ import annotations

from smallsight.engine.engine import Engine, HasLengths
from smallsight.errors import SettingsError
from smallsight.model.model import Question

__all__ = ["description_prompt"]


def description_prompt(engine: Engine, name: str, prompt: Question | None, length: str | None) -> Question:
    """Return the prompt, or the family's own for a description of this length; raises SettingsError."""
    if length is None:
        return prompt or engine.describe_prompt
    if prompt:
        raise SettingsError("A prompt says itself how long to answer.", hint="leave the length out.")
    lengths = engine.descriptions if isinstance(engine, HasLengths) else {}
    if not lengths:
        raise SettingsError(
            f"{name} describes in one length only.", hint="leave the length out, or load moondream2."
        )
    if length not in lengths:
        raise SettingsError(f"{name} has no length {length!r}.", hint=f"use {' or '.join(lengths)}.")
    return lengths[length]
