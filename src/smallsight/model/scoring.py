"""Validates the answer that a caller wants scored."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TypeAlias

from smallsight.engine.scores import Scores
from smallsight.errors import ArgumentError, InvalidTextError
from smallsight.policy.valid_text import is_valid_text

__all__ = ["GivenAnswer", "Scores", "parse_answer"]

GivenAnswer: TypeAlias = str | Sequence[int]


def parse_answer(answer: GivenAnswer) -> str | tuple[int, ...]:
    """Return a text without white space around it, or token ids; raises ArgumentError for an empty answer."""
    given = answer.strip() if isinstance(answer, str) else _token_ids(answer)
    if not given:
        raise ArgumentError(
            "The answer to score is empty.", hint="pass a text, or the token ids of an answer."
        )
    if isinstance(given, str) and not is_valid_text(given):
        raise InvalidTextError.of("The answer to score")
    return given


def _token_ids(answer: Sequence[int]) -> tuple[int, ...]:
    try:
        return tuple(operator.index(token_id) for token_id in answer)
    except TypeError as error:
        raise ArgumentError(
            f"An answer to score cannot be of type {type(answer).__name__}.",
            hint="pass a text, or integers such as answer.token_ids.",
        ) from error
