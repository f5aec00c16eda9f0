"""A cache of answers by question.

Owns which answers are kept and which are evicted. The caller decides which questions are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smallsight.model.answer import Answer, Timings
from smallsight.policy.recently_used import RecentlyUsed

_OVERHEAD_BYTES = 1024  # of one answer besides its text, a generous estimate


class ResultCache:
    """Answers by a digest of their question; evicts the least recently used beyond ``max_bytes``.

    Belongs to one event loop. 0 bytes keep nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._answers = RecentlyUsed[bytes, tuple[Answer, ...]](max_bytes, _num_bytes)
        self.num_hits = 0
        self.num_misses = 0

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def max_bytes(self) -> int:
        """The limit of the memory in use."""
        return self._answers.max_bytes

    @property
    def num_bytes(self) -> int:
        """The estimated memory in use."""
        return self._answers.num_bytes

    def find(self, key: bytes) -> tuple[Answer, ...] | None:
        """Return the answers to this question, with timings of zero, or None."""
        answers = self._answers.find(key)
        if answers is None:
            self.num_misses += 1
        else:
            self.num_hits += 1
        return answers

    def remember(self, key: bytes, answers: Sequence[Answer]) -> None:
        """Keep answers that ended with "stop" or "length"; ones larger than the whole cache are not kept."""
        if all(answer.finish_reason in ("stop", "length") for answer in answers):
            self._answers.remember(key, tuple(_lean(answer) for answer in answers))


def _lean(answer: Answer) -> Answer:
    """Return an answer without the parts that clients never see."""
    return replace(answer, token_ids=(), timings=Timings(), data=None, logprobs=None)


def _num_bytes(answers: Sequence[Answer]) -> int:
    return sum(_OVERHEAD_BYTES + 4 * len(answer.text) for answer in answers)
