"""Constrains an answer to a JSON schema: which tokens may come next.

Schemas are untrusted: external references are not followed, each is tried in a child process first
(``schema_trial``), and compiled once, within limits.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smallsight.engine.decoding.digit_limit import DigitLimit
from smallsight.engine.decoding.schema_dialect import PATTERN
from smallsight.engine.decoding.schema_limits import compile_schema, reason_in
from smallsight.engine.decoding.schema_trial import plain_schema, refusal, schema_trial
from smallsight.errors import ArgumentError, SmallsightError

_MAX_COMPILED = 32


class JsonGrammar:
    """Makes constraints for one model. Thread-safe; the first call prepares a vocabulary for all."""

    def __init__(self, tokenizer: Tokenizer, end_token_ids: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._end_token_ids = sorted(end_token_ids)
        self._vocabulary: _Vocabulary | None = None
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()
        self._turn = threading.Lock()
        self.num_compiled = 0

    def constrain(self, schema: str) -> JsonConstraint:
        """Return a constraint for one answer; raises ArgumentError for an unsupported schema."""
        plain = plain_schema(schema)
        schema_trial().require_usable(plain)
        with self._turn:  # all choices of a request wait here for the first
            matcher = self._compiled.get(plain)
            if matcher is None:
                matcher = self._compiled[plain] = self._compile(plain)
                if len(self._compiled) > _MAX_COMPILED:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(plain)
            digits = None if PATTERN in plain else DigitLimit()  # a regular expression limits its own
            return JsonConstraint(matcher.deep_copy(), self._known_vocabulary(), digits)

    def _compile(self, schema: str) -> LLMatcher:
        self.num_compiled += 1
        matcher = compile_schema(self._known_vocabulary().tokenizer, schema)
        if isinstance(matcher, str):
            raise refusal(reason_in(matcher))
        if not matcher.is_error():
            matcher.compute_bitmask()  # reveals schemas that this vocabulary cannot write
        if matcher.is_error():
            raise refusal(reason_in(matcher.get_error()))
        return matcher

    def _known_vocabulary(self) -> _Vocabulary:
        if self._vocabulary is None:
            tokenizer = LLTokenizer(self._tokenizer.to_str(), eos_token=self._end_token_ids)
            begins_with_digit = [
                token_id
                for token_id in range(tokenizer.vocab_size)
                if tokenizer.decode_bytes([token_id])[:1].isdigit()
            ]
            self._vocabulary = _Vocabulary(tokenizer, np.array(begins_with_digit, np.int64))
        return self._vocabulary


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """A model's tokens, and the ids of those that begin with a digit."""

    tokenizer: LLTokenizer
    digit_ids: NDArray[np.int64]


class JsonConstraint:
    """The constraint on one answer. Used by one thread at a time."""

    def __init__(self, matcher: LLMatcher, vocabulary: _Vocabulary, digits: DigitLimit | None) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._digits = digits

    def allowed(self, logits_V: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a copy of the logits with -inf for every token that may not come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise self._failure()
        is_allowed_V = np.unpackbits(bits, bitorder="little")[: len(logits_V)].astype(bool)
        allowed_V = np.full_like(logits_V, -np.inf)
        kept = np.flatnonzero(is_allowed_V)
        if self._digits is not None and self._digits.is_reached:
            ending = np.setdiff1d(kept, self._vocabulary.digit_ids, assume_unique=True)
            kept = ending if len(ending) else kept  # bounds of the schema may need more digits
        allowed_V[kept] = logits_V[kept]
        return allowed_V

    def accept(self, token_id: int) -> None:
        """Advance past the chosen token."""
        if not self._matcher.consume_token(token_id):
            raise self._failure()
        if self._digits is not None:
            self._digits.add(self._vocabulary.tokenizer.decode_bytes([token_id]))

    def _failure(self) -> SmallsightError:
        return ArgumentError("The answer cannot follow the JSON schema.", hint="simplify the schema.")
