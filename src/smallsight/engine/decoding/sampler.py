"""Chooses one sequence's next token from its logits.

The order is that of transformers: constraint, penalties and biases, temperature, top-k, top-p.
Log-probabilities are the model's, before any of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.sampling_options import SamplingOptions


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """A chosen token; ``logprob`` (natural logarithm) is None unless requested.

    ``alternatives`` are (token id, logprob), likeliest first.
    """

    token_id: int
    logprob: float | None = None
    alternatives: tuple[tuple[int, float], ...] = ()


class Constraint(Protocol):
    """Restricts an answer token by token; both methods raise SmallsightError when that fails."""

    def allowed(self, logits_V: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a copy of the logits with -inf for every token that may not come next."""
        ...

    def accept(self, token_id: int) -> None:
        """Advance past the chosen token."""
        ...


class Sampler:
    """Chooses the tokens of one sequence; keeps their counts and the state of its random numbers."""

    def __init__(
        self,
        options: SamplingOptions,
        prompt_token_ids: Sequence[int],
        constraint: Constraint | None = None,
    ) -> None:
        self._options = options
        self._constraint = constraint
        self._counts: Counter[int] = Counter()
        self._seen = set(prompt_token_ids) if options.repetition_penalty != 1 else None
        self._adjusts = bool(
            options.logit_bias
            or options.frequency_penalty
            or options.presence_penalty
            or self._seen is not None
        )
        self._random = None if options.is_greedy else np.random.default_rng(options.seed)

    def choose(self, logits_V: NDArray[np.float32], barred: Collection[int] = ()) -> TokenChoice:
        """Choose from float32 logits [vocabulary], which are not modified, but not one of ``barred``.

        Nothing is barred where a constraint decides.
        """
        allowed_V = logits_V if self._constraint is None else self._constraint.allowed(logits_V)
        if barred and self._constraint is None:
            allowed_V = logits_V.copy()
            allowed_V[[one for one in barred if one < len(logits_V)]] = -np.inf
        if self._adjusts:
            allowed_V = self._biased(self._penalised(allowed_V))
        token_id = self._draw(allowed_V)
        if self._constraint is not None:
            self._constraint.accept(token_id)
        if self._seen is not None:
            self._seen.add(token_id)
        self._counts[token_id] += 1
        if self._options.num_logprobs is None:
            return TokenChoice(token_id)
        logprobs_V = log_probabilities(logits_V)
        return TokenChoice(
            token_id, float(logprobs_V[token_id]), _likeliest(logprobs_V, self._options.num_logprobs)
        )

    def _penalised(self, logits_V: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply the repetition penalty to tokens seen: divide positive logits, multiply negative ones."""
        if not self._seen:
            return logits_V
        penalty = np.float32(self._options.repetition_penalty)
        seen = np.fromiter((i for i in self._seen if i < len(logits_V)), np.int64)
        changed_V = logits_V.copy()
        scores = changed_V[seen]
        changed_V[seen] = np.where(scores < 0, scores * penalty, scores / penalty)
        return changed_V

    def _biased(self, logits_V: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add the requested biases and subtract frequency and presence penalties."""
        options = self._options
        changes = [(i, bias) for i, bias in options.logit_bias if i < len(logits_V)]
        if options.frequency_penalty or options.presence_penalty:
            changes += [
                (i, -count * options.frequency_penalty - options.presence_penalty)
                for i, count in self._counts.items()
            ]
        if not changes:
            return logits_V
        changed_V = logits_V.copy()
        ids, values = zip(*changes, strict=True)
        np.add.at(changed_V, np.array(ids), np.array(values, np.float32))
        return changed_V

    def _draw(self, logits_V: NDArray[np.float32]) -> int:
        if self._random is None:
            return int(logits_V.argmax())
        ids, probabilities = kept_tokens(logits_V, self._options)
        # One uniform number per token, however many are kept: the same seed gives the same text.
        index = np.searchsorted(np.cumsum(probabilities), self._random.random(), side="right")
        return int(ids[min(int(index), len(ids) - 1)])


def kept_tokens(
    logits_V: NDArray[np.float32], options: SamplingOptions
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the tokens that top-k and top-p keep, likeliest first, with probabilities that sum to 1."""
    scaled_V = logits_V.astype(np.float64) / options.temperature
    order = np.argsort(-scaled_V, kind="stable")
    if options.top_k:
        order = order[: options.top_k]
    weights = np.exp(scaled_V[order] - scaled_V[order[0]])
    probabilities = weights / weights.sum()
    if options.top_p < 1:
        before = np.cumsum(probabilities) - probabilities  # the likeliest always stays
        num_kept = max(1, int((before < options.top_p).sum()))
        order, probabilities = order[:num_kept], probabilities[:num_kept]
        probabilities = probabilities / probabilities.sum()
    return order, probabilities


def log_probabilities(logits_V: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the natural logarithm of the softmax, float64 [vocabulary]."""
    shifted_V = logits_V.astype(np.float64) - float(logits_V.max())
    logprobs_V: NDArray[np.float64] = shifted_V - np.log(np.exp(shifted_V).sum())
    return logprobs_V


def _likeliest(logprobs_V: NDArray[np.float64], count: int) -> tuple[tuple[int, float], ...]:
    if not count:
        return ()
    best = np.argpartition(-logprobs_V, min(count, len(logprobs_V)) - 1)[:count]
    ordered = best[np.argsort(-logprobs_V[best], kind="stable")]
    return tuple((int(i), float(logprobs_V[i])) for i in ordered)
