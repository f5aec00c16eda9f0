"""Constrains an answer to a JSON schema: which tokens may come next.

Schemas are untrusted: external references are not followed, each is tried in a child process first
(``schema_trial``), and compiled once, within limits.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smallsight.engine.decoding.schema_limits import compile_schema, reason_in
from smallsight.engine.decoding.schema_trial import plain_schema, refusal, schema_trial
from smallsight.errors import ArgumentError, SmallsightError

_MAX_COMPILED = 32


class JsonGrammar:
    """Makes constraints for one model. Thread-safe; the first call prepares a vocabulary for all."""

    def __init__(self, tokenizer: Tokenizer, end_token_ids: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._end_token_ids = sorted(end_token_ids)
        self._vocabulary: LLTokenizer | None = None
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
            return JsonConstraint(matcher.deep_copy())

    def _compile(self, schema: str) -> LLMatcher:
        self.num_compiled += 1
        if self._vocabulary is None:
            self._vocabulary = LLTokenizer(self._tokenizer.to_str(), eos_token=self._end_token_ids)
        matcher = compile_schema(self._vocabulary, schema)
        if isinstance(matcher, str):
            raise refusal(reason_in(matcher))
        if not matcher.is_error():
            matcher.compute_bitmask()  # reveals schemas that this vocabulary cannot write
        if matcher.is_error():
            raise refusal(reason_in(matcher.get_error()))
        return matcher


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
        return ArgumentError("The answer cannot follow the JSON schema.", hint="simplify the schema.")
