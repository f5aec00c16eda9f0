"""Constrains an answer to a JSON schema: which tokens may come next.

Schemas are untrusted: external references are not followed, and the cost of a schema is bounded by
llguidance's limits and by its length here.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smallsight.errors import ArgumentError, SmallsightError

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

MAX_SCHEMA_CHARS = 65_536
_MAX_REASON_CHARS = 200
# No spaces between values: a weak model would write them until it reaches max_tokens.
_FORMAT: JsonCompileOptions = {"whitespace_flexible": False}


class JsonGrammar:
    """Makes constraints for one model. Thread-safe; the first call prepares a vocabulary for all."""

    def __init__(self, tokenizer: Tokenizer, end_token_ids: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._end_token_ids = sorted(end_token_ids)
        self._vocabulary: LLTokenizer | None = None
        self._turn = threading.Lock()

    def constrain(self, schema: str) -> JsonConstraint:
        """Return a constraint for one answer; raises ArgumentError for an unsupported schema."""
        if len(schema) > MAX_SCHEMA_CHARS:
            raise ArgumentError(
                f"The JSON schema has {len(schema)} characters (limit {MAX_SCHEMA_CHARS}).",
                hint="shorten it.",
            )
        try:
            matcher = LLMatcher(
                self._tokenizer_vocabulary(),
                LLMatcher.grammar_from_json_schema(schema, overrides=_FORMAT),
                log_level=0,
            )
        except ValueError as error:
            raise _unusable(str(error)) from error
        if not matcher.is_error():
            matcher.compute_bitmask()  # reveals schemas that allow nothing
        if matcher.is_error():
            raise _unusable(matcher.get_error())
        return JsonConstraint(matcher)

    def _tokenizer_vocabulary(self) -> LLTokenizer:
        with self._turn:
            if self._vocabulary is None:
                self._vocabulary = LLTokenizer(self._tokenizer.to_str(), eos_token=self._end_token_ids)
            return self._vocabulary


class JsonConstraint:
    """The constraint on one answer. Used by one thread at a time."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def allowed(self, logits_V: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a copy of the logits with -inf for every token that may not come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise self._failure()
        is_allowed_V = np.unpackbits(bits, bitorder="little")[: len(logits_V)].astype(bool)
        allowed_V = np.full_like(logits_V, -np.inf)
        kept = np.flatnonzero(is_allowed_V)
        allowed_V[kept] = logits_V[kept]
        return allowed_V

    def accept(self, token_id: int) -> None:
        """Advance past the chosen token."""
        if not self._matcher.consume_token(token_id):
            raise self._failure()

    def _failure(self) -> SmallsightError:
        return ArgumentError(
            f"The answer cannot follow the JSON schema: {_first_line(self._matcher.get_error())}.",
            hint="simplify the schema.",
        )


def _unusable(why: str) -> ArgumentError:
    return ArgumentError(
        f"The JSON schema is not supported: {_first_line(why)}.", hint="remove the unsupported part."
    )


def _first_line(text: str) -> str:
    return (text.splitlines() or ["unknown reason"])[0][:_MAX_REASON_CHARS].rstrip(".:")
