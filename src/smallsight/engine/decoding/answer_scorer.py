"""Scores a given answer: takes its tokens one by one in place of the model's choice, and keeps distributions.

Each token is computed as if the model had chosen it, in the same calls. Therefore scores have the bits of the
logits from which the answer would be chosen, and do not depend on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.sampler import TokenChoice, log_probabilities
from smallsight.engine.scores import Scores
from smallsight.errors import ArgumentError


class AnswerScorer:
    """The tokens of one answer, and the distributions before those taken so far."""

    def __init__(self, token_ids: Sequence[int], vocabulary: int) -> None:
        """Take an answer; raises ArgumentError for one without tokens or with an unknown token."""
        if not token_ids:
            raise ArgumentError("The answer to score has no tokens.", hint="pass a text or token ids.")
        for token_id in token_ids:
            if not 0 <= token_id < vocabulary:
                raise ArgumentError(
                    f"The model has no token {token_id}.", hint=f"use token ids from 0 to {vocabulary - 1}."
                )
        self.token_ids = tuple(token_ids)
        self._rows: list[NDArray[np.float32]] = []
        self._top_ids: list[int] = []

    @property
    def is_done(self) -> bool:
        """Whether every token was taken."""
        return len(self._rows) == len(self.token_ids)

    def choose(self, logits_V: NDArray[np.float32]) -> TokenChoice:
        """Keep the distribution of float32 logits [vocabulary], and return the answer's next token."""
        token_id = self.token_ids[len(self._rows)]
        with np.errstate(over="ignore"):  # below the smallest float32 is minus infinity
            self._rows.append(log_probabilities(logits_V).astype(np.float32))
        self._top_ids.append(int(logits_V.argmax()))  # of the logits: rounding may make two logarithms equal
        return TokenChoice(token_id)

    def scores(self) -> Scores | None:
        """Return the scores, or None before every token was taken."""
        if not self.is_done:
            return None
        log_distributions = np.stack(self._rows)
        log_distributions.setflags(write=False)
        return Scores(self.token_ids, tuple(self._top_ids), log_distributions)


class ScoringSearch:
    """Implements ``runner.TokenSearch`` for a given answer: one beam, whose tokens are the answer's."""

    def __init__(self, scorer: AnswerScorer, start_token_id: int) -> None:
        self._scorer = scorer
        self.next_tokens = (start_token_id,)

    @property
    def is_done(self) -> bool:
        """Whether every token was taken."""
        return self._scorer.is_done

    @property
    def tokens(self) -> tuple[int, ...]:
        """The answer."""
        return self._scorer.token_ids

    def advance(self, logits_KV: NDArray[np.float32]) -> tuple[int, ...]:
        """Keep the distribution of float32 logits [1, vocabulary]; return the beam's parent, itself."""
        self.next_tokens = (self._scorer.choose(logits_KV[0]).token_id,)
        return (0,)
