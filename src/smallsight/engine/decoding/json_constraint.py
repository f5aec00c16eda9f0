"""Holding an answer to a JSON schema: which tokens may come next, for one tokenizer and one answer.

Schemas come from strangers: references elsewhere are not followed, and what a schema may cost is bounded by
llguidance's own limits and by its length here.
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
# Between values no spaces: a weak model would write them until its tokens are spent.
_WRITTEN: JsonCompileOptions = {"whitespace_flexible": False}


class JsonGrammar:
    """Makes constraints for one model. Thread-safe; the first one takes a moment more, the rest share it."""

    def __init__(self, tokenizer: Tokenizer, end_token_ids: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._end_token_ids = sorted(end_token_ids)
        self._vocabulary: LLTokenizer | None = None
        self._turn = threading.Lock()

    def constrain(self, schema: str) -> JsonConstraint:
        """Return a constraint for one answer; raises ArgumentError for a schema that cannot be held to."""
        if len(schema) > MAX_SCHEMA_CHARS:
            raise ArgumentError(
                f"The JSON schema has {len(schema)} characters (limit {MAX_SCHEMA_CHARS}).",
                hint="make it smaller.",
            )
        try:
            matcher = LLMatcher(
                self._known_tokens(),
                LLMatcher.grammar_from_json_schema(schema, overrides=_WRITTEN),
                log_level=0,
            )
        except ValueError as error:
            raise _unusable(str(error)) from error
        if not matcher.is_error():
            matcher.compute_bitmask()  # some schemas turn out to allow nothing only now
        if matcher.is_error():
            raise _unusable(matcher.get_error())
        return JsonConstraint(matcher)

    def _known_tokens(self) -> LLTokenizer:
        with self._turn:
            if self._vocabulary is None:
                self._vocabulary = LLTokenizer(self._tokenizer.to_str(), eos_token=self._end_token_ids)
            return self._vocabulary


class JsonConstraint:
    """What one answer may still be. Used by one thread at a time."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def allowed(self, logits_V: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits in which every token that may not come next is impossible."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise self._lost()
        may_V = np.unpackbits(bits, bitorder="little")[: len(logits_V)].astype(bool)
        allowed_V = np.full_like(logits_V, -np.inf)
        kept = np.flatnonzero(may_V)
        allowed_V[kept] = logits_V[kept]
        return allowed_V

    def accept(self, token_id: int) -> None:
        """Go on behind the token that was chosen."""
        if not self._matcher.consume_token(token_id):
            raise self._lost()

    def _lost(self) -> SmallsightError:
        return ArgumentError(
            f"The answer could not be held to the JSON schema: {_first_line(self._matcher.get_error())}.",
            hint="make the schema simpler.",
        )


def _unusable(why: str) -> ArgumentError:
    return ArgumentError(
        f"The JSON schema cannot be used: {_first_line(why)}.", hint="leave out what it names."
    )


def _first_line(text: str) -> str:
    return (text.splitlines() or ["unknown reason"])[0][:_MAX_REASON_CHARS].rstrip(".:")
