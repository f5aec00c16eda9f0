"""Beam search for one prompt: which continuations are kept. Works on rows of logits, without a network.

Scores, order and stopping criteria follow transformers 5.x (generation/utils, ``_beam_search``) in float32,
so that the same logits give the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import ArgumentError

CHUNKS = 128
FAR_BELOW = np.float32(-1e9)


@dataclass(frozen=True, slots=True)
class BeamOptions:
    """Beam search settings. ``max_length`` counts the start token. Invalid values raise ArgumentError.

    With ``is_never_empty`` the first token that is not forced does not end the answer.
    """

    start_token_id: int
    end_token_ids: frozenset[int]
    max_length: int
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool = True
    no_repeat_ngram: int = 0
    forced_first_token_id: int | None = None
    forced_last_token_id: int | None = None
    is_never_empty: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.num_beams <= 16:
            raise ArgumentError(f"num_beams cannot be {self.num_beams}.", hint="use 1 to 16.")
        if self.max_length < 2:
            raise ArgumentError("An answer needs at least one token.", hint="raise max_tokens.")


@dataclass(frozen=True, slots=True)
class _Beam:
    tokens: tuple[int, ...]
    score: np.float32
    is_finished: bool = False


class BeamSearch:
    """The beams of one prompt: pass the logits of ``next_tokens`` to ``advance`` until ``is_done``."""

    def __init__(self, options: BeamOptions) -> None:
        self._options = options
        start = (options.start_token_id,)
        # All beams are equal at first: only one may be continued.
        others = options.num_beams - 1
        self._running = [_Beam(start, np.float32(0)), *[_Beam(start, FAR_BELOW) for _ in range(others)]]
        self._finished = [_Beam(start, FAR_BELOW) for _ in range(options.num_beams)]
        self._can_improve = True
        self.is_done = False

    @property
    def next_tokens(self) -> tuple[int, ...]:
        """The last token of each running beam."""
        return tuple(beam.tokens[-1] for beam in self._running)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The best answer without the start token: the best finished one, or else the best running beam."""
        best = self._finished[0] if self._finished[0].is_finished else self._running[0]
        return best.tokens[1:]

    def advance(self, logits_KV: NDArray[np.float32]) -> tuple[int, ...]:
        """Extend the beams by their logits, float32 [beams, vocabulary]; return each new beam's parent."""
        options, length = self._options, len(self._running[0].tokens)
        scores_KV = self._allowed(log_softmax(logits_KV), length)
        scores_KV += np.array([beam.score for beam in self._running], np.float32)[:, None]
        vocabulary = scores_KV.shape[1]
        count = max(2, 1 + len(options.end_token_ids)) * options.num_beams
        candidates: list[tuple[_Beam, int]] = []
        for index in _largest(scores_KV.ravel(), count):
            parent, token = divmod(int(index), vocabulary)
            tokens = (*self._running[parent].tokens, token)
            is_end = token in options.end_token_ids or length + 1 >= options.max_length
            candidates.append((_Beam(tokens, scores_KV[parent, token], is_end), parent))
        can_continue = not all(beam.is_finished for beam, _ in candidates)
        parents = self._keep_running(candidates)
        self._finish([beam for beam, _ in candidates], length)
        self._check_done(length + 1, can_continue=can_continue)
        return parents

    def _allowed(self, scores_KV: NDArray[np.float32], length: int) -> NDArray[np.float32]:
        """Rule out tokens that would repeat an n-gram, and all but a forced token."""
        options = self._options
        forced = options.forced_first_token_id if length == 1 else None
        if length == options.max_length - 1 and options.forced_last_token_id is not None:
            forced = options.forced_last_token_id
        if forced is not None:
            scores_KV[:] = -np.inf
            scores_KV[:, forced] = 0
            return scores_KV
        if options.no_repeat_ngram:
            for row, beam in enumerate(self._running):
                scores_KV[row, repeating_tokens(beam.tokens, options.no_repeat_ngram)] = -np.inf
        if options.is_never_empty and length == 1 + (options.forced_first_token_id is not None):
            scores_KV[:, list(options.end_token_ids)] = -np.inf
        return scores_KV

    def _keep_running(self, candidates: Sequence[tuple[_Beam, int]]) -> tuple[int, ...]:
        """Keep the best candidates, ranking those that have ended last; return their parents."""
        scores = np.array(
            [beam.score + (FAR_BELOW if beam.is_finished else np.float32(0)) for beam, _ in candidates],
            np.float32,
        )
        kept = _largest(scores, self._options.num_beams)
        self._running = [_Beam(candidates[i][0].tokens, scores[i]) for i in kept]
        return tuple(candidates[i][1] for i in kept)

    def _finish(self, candidates: Sequence[_Beam], length: int) -> None:
        """Add candidates that have ended to the finished ones, if they rank among the best ``num_beams``."""
        options = self._options
        is_full = options.early_stopping and all(beam.is_finished for beam in self._finished)
        merged = list(self._finished)
        divisor = np.float32(length**options.length_penalty)
        for rank, beam in enumerate(candidates):
            counts = beam.is_finished and rank < options.num_beams
            score = beam.score / divisor
            for is_barred in (is_full, not self._can_improve, not counts):
                score += FAR_BELOW if is_barred else np.float32(0)
            merged.append(_Beam(beam.tokens, score, counts))
        best = _largest(np.array([beam.score for beam in merged], np.float32), options.num_beams)
        self._finished = [merged[i] for i in best]

    def _check_done(self, length: int, *, can_continue: bool) -> None:
        """Stop when no running beam can beat the worst finished one, or enough have finished."""
        options = self._options
        best_running = self._running[0].score / np.float32((length - 1) ** options.length_penalty)
        worst = min(beam.score for beam in self._finished)
        self._can_improve &= any(
            bool(best_running > (worst if beam.is_finished else FAR_BELOW)) for beam in self._finished
        )
        enough = options.early_stopping and all(beam.is_finished for beam in self._finished)
        self.is_done = not self._can_improve or enough or not can_continue


def log_softmax(logits_KV: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the natural logarithm of each row's softmax, float32."""
    shifted = logits_KV - logits_KV.max(axis=1, keepdims=True)
    logs: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True, dtype=np.float32))
    return logs


def repeating_tokens(tokens: Sequence[int], size: int) -> list[int]:
    """Return the tokens that would repeat an n-gram of ``size`` tokens at the end of a sequence."""
    if len(tokens) + 1 < size:
        return []
    last = tuple(tokens[len(tokens) - size + 1 :])
    return [
        tokens[start + size - 1]
        for start in range(len(tokens) - size + 1)
        if tuple(tokens[start : start + size - 1]) == last
    ]


def _largest(values: NDArray[np.float32], count: int) -> list[int]:
    """Return the indices of the largest values, largest first; ties go to the lower index."""
    indices = np.arange(len(values))
    if count < len(values) // CHUNKS:
        # The count-th largest chunk maximum is at most the count-th largest value: few values reach it.
        peaks = values[: len(values) // CHUNKS * CHUNKS].reshape(CHUNKS, -1).max(axis=0)
        indices = np.flatnonzero(values >= np.partition(peaks, len(peaks) - count)[len(peaks) - count])
    order = np.argsort(-values[indices], kind="stable")[:count]
    return [int(index) for index in indices[order]]
